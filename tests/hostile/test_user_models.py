"""Users' models that are not models: one message, an exit code, no traceback."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.bench.cli.test_cli import one_line_error
from tests.command import command

NUMPY_MODEL = "def build():\n    return 5\n\ndef broken():\n    raise ValueError('no weights here')\n"
LINE = "assay: "


def message(folder: Path, *arguments: str, code: int = 2) -> str:
    """The one line of an error of `assay compare-model`."""
    done = command("compare-model", *arguments, "--out", str(folder / "out"), folder=folder)
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    line = done.stderr.splitlines()[-1]
    assert line.startswith(LINE)
    return line


def test_names_that_are_not_models_are_refused_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "model.bin").touch()
    one_line_error(command("compare-model", "none.onnx", folder=tmp_path), 2, "There is no model none.onnx")
    one_line_error(command("compare-model", "model.bin", folder=tmp_path), 2, "the ending '.bin'", ".keras")
    one_line_error(command("compare-model", "none.py:build", folder=tmp_path), 2, "There is no file none.py")
    (tmp_path / "mine.py").write_text(NUMPY_MODEL)
    one_line_error(command("compare-model", "mine.py", folder=tmp_path), 2, "mine.py:FUNCTION")
    one_line_error(command("compare-model", "mine.py:f", "--shape", "x", folder=tmp_path), 2, "--shape cannot be read")
    one_line_error(
        command("compare-model", "mine.py:f", "--threads", "999", folder=tmp_path), 2, "--threads", "at most"
    )
    done = command("compare-model", "mine.py:f", "--runtime", "torch.eage", folder=tmp_path)
    one_line_error(done, 2, "Did you mean 'torch.eager'")


@pytest.mark.parametrize(
    ("function", "words"),
    [
        ("bild", "mine.py has no 'bild': found build, broken. Did you mean 'build'?"),
        ("broken", "mine.py fails in broken(): found ValueError: no weights here (mine.py, line 5)"),
        ("build", "mine.py does not give a model"),
    ],
)
def test_a_function_that_gives_no_model_is_one_message(function: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(NUMPY_MODEL)
    assert words in message(tmp_path, f"mine.py:{function}")


def test_files_that_are_damaged_are_named(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"\x00\x01 no model")
    assert "model.onnx cannot be read" in message(tmp_path, "model.onnx")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("model.pt", "TorchScript file, written by torch.jit.save"),
        ("model.pt2", "written by torch.export.save"),
        ("model.keras", "written by keras.Model.save"),
    ],
)
def test_other_damaged_files_are_named(name: str, words: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"\x00\x01 no model")
    assert words in message(tmp_path, name, "--shape", "x=batch,3")


@pytest.mark.slow
def test_what_goes_in_has_to_be_known_and_to_fit(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "import torch\n\ndef build():\n    return torch.nn.Linear(4, 3)\n\nclass Words(torch.nn.Module):\n"
        "    def forward(self, x):\n        return {'text': 'word', 'x': x}\n"
    )
    assert "--shape NAME=batch" in message(tmp_path, "mine.py:build")
    assert "--dimension tokens=64" in message(tmp_path, "mine.py:build", "--shape", "x=batch,tokens")
    wrong = message(tmp_path, "mine.py:build", "--shape", "x=batch,5")
    assert "fails in mine.build(...)" in wrong
    np.savez(tmp_path / "other.npz", y=np.zeros((2, 4), np.float32))
    given = ("--shape", "x=batch,4", "--inputs", "other.npz")
    assert "--inputs lacks an input of the model" in message(tmp_path, "mine.py:build", *given)
    assert "something else than tensors: found str" in message(tmp_path, "mine.py:Words", "--shape", "x=batch,4")


@pytest.mark.slow
def test_a_model_that_no_route_exports_is_timed_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "import torch\n\nclass Odd(torch.nn.Module):\n    def forward(self, x):\n"
        "        return torch.special.bessel_j0(x) @ torch.ones(4, 2, dtype=x.dtype)\n"
    )
    options = ("--shape", "x=batch,4", "--runtime", "torch.eager", "--minutes", "10", "--interval-width", "0")
    done = command("compare-model", "mine.py:Odd", *options, folder=tmp_path)
    assert done.returncode == 1, done.stderr
    assert "no route gave a usable ONNX file" in done.stdout
    assert "torch.eager" in (tmp_path / "artifacts/model-mine-Odd/report/report.md").read_text(encoding="utf-8")
    assert "bessel" in done.stderr
