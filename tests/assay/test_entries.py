"""Which modules a table of entries imports, and when; versions of packages."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from assay import entries
from assay.entries import imported_late, installed_versions


def test_a_late_import_happens_when_it_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "late_example.py").write_text("ANSWER = 42\n")
    monkeypatch.syspath_prepend(tmp_path)
    late = imported_late("late_example")
    assert "ANSWER" not in object.__getattribute__(late, "__dict__")
    assert late.ANSWER == 42
    assert "ANSWER" in object.__getattribute__(late, "__dict__")
    assert imported_late("late_example") is late is importlib.import_module("late_example")
    with pytest.raises(ModuleNotFoundError, match="no_such_package"):
        imported_late("no_such_package")


def test_a_package_has_the_version_of_the_distribution_that_provides_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Most have its name; all distributions are looked through only for the others, which takes a third of a second."""

    def install(name: str, version: str, *packages: str, declared: bool) -> None:
        about = tmp_path / f"{name}-{version}.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (about / "RECORD").write_text("".join(f"{package}/__init__.py,,\n" for package in packages))
        for package in packages:
            (tmp_path / package).mkdir(exist_ok=True)
        if declared:
            (about / "top_level.txt").write_text("\n".join(packages))

    install("zz_plain", "1.0", "zz_plain", declared=False)
    install("zz_device-cpu", "2.0", "zz_device", declared=True)
    install("zz_taken", "3.0", "zz_other", declared=True)
    install("zz_owner", "4.0", "zz_taken", declared=True)
    install("zz_name", "5.0", "zz_unlike", declared=False)
    monkeypatch.syspath_prepend(tmp_path)
    entries._distributions.cache_clear()
    assert installed_versions(["zz_plain", "zz_device"]) == {"zz_plain": "1.0", "zz_device": "2.0"}
    assert entries._distributions.cache_info().currsize == 0, "nothing else was looked through"
    assert installed_versions(["zz_taken", "zz_name", "zz_unlike", "zz_nowhere"]) == {
        "zz_taken": "4.0",
        "zz_unlike": "5.0",
    }
    entries._distributions.cache_clear()
