"""The calls do what the commands do: real files, real answers."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto, helper

import assay
from assay.bench.words.terminal import Terminal
from assay.errors import InputError
from assay.start import START
from tests.onnx_files import onnx_model

ROOT = Path(__file__).parents[3]


def product(more: float = 0) -> ModelProto:
    weights = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32) + np.float32(more)
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"])]
    return onnx_model(nodes, {"x": ["rows", 4]}, {"y": ["rows", 3]}, {"w": weights}, ir_version=9)


def test_a_pair_of_live_models_is_audited(tmp_path: Path) -> None:
    inputs = np.ones((2, 4), np.float32)
    found = assay.audit(product(), product(0.1), inputs, runtimes=["ort.cpu"], out=tmp_path, quiet=True)
    assert not found.passed
    wrong = found.comparisons.filter(~found.comparisons["passed"])
    assert all("candidate" in subject for subject in wrong["subject"])
    assert wrong["largest_error"].max() == pytest.approx(0.4, rel=1e-3)
    assert "no</b>" in found._repr_html_()


def test_a_quiet_call_shows_nothing_in_a_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    assert Terminal().is_jupyter
    file = io.StringIO()
    Terminal(file=file).print("told to the file")
    assert file.getvalue() == "told to the file\n"


def test_a_call_from_within_a_models_own_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "orig_argv", [sys.executable, "-P", str(START), "assay.export.probing.probe"])
    with pytest.raises(InputError, match="__main__"):
        assay.compare("model.onnx", out=tmp_path)


@pytest.mark.slow
def test_a_live_onnx_model_is_compared(tmp_path: Path) -> None:
    inputs = np.ones((2, 4), np.float32)
    found = assay.compare(
        product(), inputs, runtimes=["ort.cpu", "ort.cpu.no-opt"], minutes=0.3, out=tmp_path, quiet=True
    )
    assert found.audit is not None
    assert found.audit.passed
    assert {"ort.cpu@given", "ort.cpu.no-opt@given"} <= set(found.cells["label"])
    assert found.cells.filter(found.cells["label"] == "ort.cpu@given")["host_median_ms_value"].item() > 0
    assert found.report.is_file()
    assert assay.read(found.folder).results == found.results


@pytest.mark.slow
def test_the_example_of_the_documentation_runs(tmp_path: Path) -> None:
    script = ROOT / "docs" / "examples" / "from_python.py"
    done = subprocess.run([sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "torch.eager" in done.stdout
    assert "ort.cpu@torch-dynamo" in done.stdout
    assert "\nTrue\n" in done.stdout, "the numbers of a linear model agree"
