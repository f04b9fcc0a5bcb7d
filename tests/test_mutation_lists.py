"""The lists of `make mutants` name existing code; without this they would become outdated unnoticed."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LISTS = ROOT / "tests" / "mutation"
MODULES: dict[str, list[str]] = tomllib.loads((LISTS / "modules.toml").read_text(encoding="utf-8"))
EQUIVALENT: list[dict[str, str]] = tomllib.loads((LISTS / "equivalent.toml").read_text(encoding="utf-8")).get(
    "change", []
)


@pytest.mark.parametrize("module", MODULES)
def test_the_module_and_its_tests_are_there(module: str) -> None:
    assert MODULES[module]
    assert (ROOT / module).is_file()
    for told in MODULES[module]:
        file, _, test = told.removeprefix("--deselect=").partition("::")
        assert f"def {test}" in (ROOT / file).read_text(encoding="utf-8"), told


@pytest.mark.parametrize("change", EQUIVALENT, ids=lambda change: f"{change['module']}: {change['after'][:40]}")
def test_changes_listed_without_effect_still_exist(change: dict[str, str]) -> None:
    lines = [line.strip() for line in (ROOT / change["module"]).read_text(encoding="utf-8").splitlines()]
    assert set(change["before"].splitlines()) <= set(lines)
    assert change["why"].endswith(".")
