"""A distribution whose runtimes cannot be used costs one sentence, and ours keep working."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.bench.cli.test_cli import assay, one_line_error


def installed(folder: Path, source: str) -> dict[str, str]:
    """The environment in which a distribution with this module is installed."""
    about = folder / "broken_runtime-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-runtime\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[onnx_assay.runtimes]\nbroken = broken_runtime:ENTRIES\n")
    (folder / "broken_runtime.py").write_text(source)
    return {"PYTHONPATH": str(folder)}


def test_a_name_of_theirs_is_refused_with_the_reason(tmp_path: Path) -> None:
    there = installed(tmp_path, "print('hello')\nraise RuntimeError('no engine\\non this machine')")
    (tmp_path / "model.onnx").write_bytes(b"anything")
    done = assay("compare-model", "model.onnx", "--runtime", "broken", folder=tmp_path, **there)
    one_line_error(done, 2, "Unknown runtime", "broken-runtime 1.0", "RuntimeError: no engine on this machine")
    assert done.stdout == ""


def test_what_runs_no_model_of_a_users_says_so(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"anything")
    done = assay("compare-model", "model.onnx", "--runtime", "tf.predict", folder=tmp_path)
    one_line_error(done, 2, "tf.predict does not run your own models", "ort.cpu")


@pytest.mark.slow
def test_doctor_shows_what_was_refused_beside_all_that_is_ours(tmp_path: Path) -> None:
    done = assay("doctor", "--json", folder=tmp_path, **installed(tmp_path, "ENTRIES = 7"))
    found = json.loads(done.stdout)
    assert done.returncode == 0
    assert "ort.cpu" in {one["name"] for one in found["runtimes"]}
    (refused,) = found["refused_runtimes"]
    assert "broken-runtime 1.0" in refused
    shown = assay("doctor", folder=tmp_path, PYTHONPATH=str(tmp_path), COLUMNS="400")
    assert "broken-runtime 1.0 provides no usable runtime" in shown.stdout
