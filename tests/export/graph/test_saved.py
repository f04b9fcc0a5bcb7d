"""ONNX files too large for one file: weights are stored beside them, and read back unchanged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

from assay.export.finish import finish
from assay.export.graph import saved
from tests.export.pairs.pair_models import WIDTH, save_classifier


def answer(path: Path) -> np.ndarray:
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"image": np.ones((2, WIDTH), np.float32)})[0])


def test_weights_too_large_for_one_file_are_stored_beside_it_and_finished_like_any_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save_classifier(tmp_path / "model.onnx")
    before = answer(path)
    monkeypatch.setattr(saved, "MOST_BYTES", 1000)
    finish(path, 18, {"made.by": "a test"})
    beside = tmp_path / "model.onnx.data"
    size = beside.stat().st_size
    assert size > 1000
    np.testing.assert_array_equal(answer(path), before)
    finish(path, 18, {"made.by": "the same again"})  # over itself, which appends nothing
    assert beside.stat().st_size == size
    np.testing.assert_array_equal(answer(path), before)
