"""A runtime that is named but lacks a package is reported as something to install, before any other work."""

from __future__ import annotations

import importlib.util
import io
from pathlib import Path

import pytest

from assay.bench.brought.compare import compare_model
from assay.bench.brought.work import Wanted
from assay.bench.words.progress import Narrator
from assay.bench.words.terminal import Terminal
from assay.errors import NotInstalledError
from assay.registry import RUNTIMES
from assay.train.brought.sources import locate

LACKING = [
    ("torch.compile.int8", "torchao", "torchao"),
    ("torch.aot.int8", "torchao", "torchao"),
    ("litert", "ai_edge_litert", "litert"),
    ("litert.int8", "ai_edge_litert", "litert"),
    ("openvino.nncf", "nncf", "nncf"),
    ("openvino.nncf.accurate", "nncf", "nncf"),
]


def without(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == package else found(name))


@pytest.mark.parametrize(("runtime", "package", "extra"), LACKING)
def test_a_named_runtimes_missing_package_is_reported_first_and_with_its_extra(
    runtime: str, package: str, extra: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    RUNTIMES[runtime].check_installed()
    without(package, monkeypatch)
    (tmp_path / "model.py").write_text("raise SystemExit('it is not loaded')\n")
    wanted = Wanted(locate(f"{tmp_path}/model.py:build", "torch"), runtimes=(runtime,))
    with pytest.raises(NotInstalledError, match=rf"'{runtime}' needs.*'{package}'.*onnx-assay\[{extra}\]") as caught:
        compare_model(wanted, tmp_path / "out", Narrator(Terminal(file=io.StringIO())))
    assert caught.value.exit_code == 3
    assert not (tmp_path / "out").exists()


def test_every_runtime_says_what_it_needs() -> None:
    for entry in RUNTIMES.values():
        if "cpu" in entry.devices:
            entry.check_installed()
        assert not entry.extra or entry.extra == "gpu" or entry.needs
