"""The contents of each installation: the extras of pyproject.toml, and the messages if something is missing."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from assay.errors import EXTRA_OF, NotInstalledError, missing
from assay.pins import read_pins
from assay.registry import ARCHITECTURES, DATASETS, EXPORTERS, FRAMEWORKS, RUNTIMES, TASKS

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
PROMISED = {"torch", "tf", "jax", "openvino", "litert", "serve", "fleet", "gpu", "train", "all"}
NEVER_IN_THE_BASE = {"torch", "tensorflow", "tensorflow-cpu", "jax", "scipy", "uv", "pillow"}


def needs_of(extra: str) -> Iterator[str]:
    """Distributions that an extra requires, by themselves or through extras that it includes."""
    for line in EXTRAS[extra]:
        wanted = Requirement(line)
        if wanted.name != "onnx-assay":
            yield canonicalize_name(wanted.name)
        for inner in wanted.extras if wanted.name == "onnx-assay" else ():
            yield from needs_of(inner)


def test_the_base_runs_onnx_files_and_has_no_framework() -> None:
    base = {canonicalize_name(Requirement(line).name) for line in PROJECT["dependencies"]}
    assert {"onnx", "onnxruntime"} <= base
    assert not base & NEVER_IN_THE_BASE


def test_every_promised_extra_is_there() -> None:
    assert set(EXTRAS) >= PROMISED
    everything = set(needs_of("all"))
    for extra in PROMISED - {"gpu"}:
        assert set(needs_of(extra)) <= everything, extra


def test_a_framework_brings_no_other() -> None:
    frameworks = {"torch": {"torch"}, "tf": {"tensorflow", "tensorflow-cpu"}, "jax": {"jax"}}
    for extra, own in frameworks.items():
        others = set().union(*(names for name, names in frameworks.items() if name != extra))
        assert own <= set(needs_of(extra))
        assert not set(needs_of(extra)) & others


def test_every_extra_that_is_named_exists() -> None:
    registries = (ARCHITECTURES, DATASETS, EXPORTERS, FRAMEWORKS, TASKS)
    named = {entry.extra for registry in registries for entry in registry.values()}
    named |= {entry.extra or entry.family.extra for entry in RUNTIMES.values() if not entry.distribution}
    assert (named | set(EXTRA_OF.values())) - {""} <= set(EXTRAS)


def test_pins_cover_everything_that_an_installation_requires() -> None:
    pinned = {pin.name for pin in read_pins(ROOT / "constraints.txt", hashed=False)}
    wanted = {name for extra in EXTRAS if extra != "gpu" for name in needs_of(extra)}
    wanted |= {canonicalize_name(Requirement(line).name) for line in PROJECT["dependencies"]}
    assert wanted - {"tensorflow"} <= pinned, "tensorflow stands in for tensorflow-cpu on other machines"


def test_a_missing_package_is_named_with_its_extra() -> None:
    error = missing("model.py", ModuleNotFoundError("No module named 'torch.nn'", name="torch.nn"))
    assert isinstance(error, NotInstalledError)
    assert error.exit_code == 3
    assert "model.py needs the Python package 'torch.nn'" in str(error)
    assert "pip install 'onnx-assay[torch]'" in str(error)
    theirs = missing("model.py", ModuleNotFoundError(name="utilities"), otherwise="Install it there")
    assert str(theirs).endswith("Install it there")
    unknown = missing("'a.runtime'", ModuleNotFoundError(name="something"), "serve")
    assert "onnx-assay[serve]" in str(unknown)
    tells_most = missing("'torch.int8'", ModuleNotFoundError(name="torchao"), "torch")
    assert "onnx-assay[torchao]" in str(tells_most)
