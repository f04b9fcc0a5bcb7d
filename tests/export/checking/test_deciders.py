"""The values that decide a yes or no of an ONNX file are the two that it compares."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from assay.export.checking.on_onnx_deciders import deciders_of
from tests.onnx_files import onnx_model

SCORES = np.array([[0.1, 0.5], [0.9, 0.4]], np.float32)
THRESHOLD = 0.5
NEARLY = np.array([[0, 1e-7], [0, 0]], np.float32)
"""So that a third of what is at the threshold is rounded."""


def deciding(operator: str, *, negated: bool = False, kind: int = TensorProto.FLOAT) -> ModelProto:
    """A file that compares a score, its input over three, with a constant."""
    nodes = [
        helper.make_node("Div", ["x", "three"], ["score"]),
        helper.make_node(operator, ["score", "threshold"], ["decided"]),
        helper.make_node("Not" if negated else "Identity", ["decided"], ["told"]),
        helper.make_node("Cast", ["told"], ["label"], to=TensorProto.INT64),
    ]
    numbers = {"threshold": np.array(THRESHOLD), "three": np.array(3)}
    typed = [
        numpy_helper.from_array(one.astype(helper.tensor_dtype_to_np_dtype(kind)), name)
        for name, one in numbers.items()
    ]
    return onnx_model(
        nodes, {"x": (kind, ["batch", 2])}, {"label": (TensorProto.INT64, ["batch", 2])}, typed, ir_version=8
    )


@pytest.mark.parametrize("negated", [False, True])
@pytest.mark.parametrize(
    ("operator", "compared"),
    [("Greater", np.greater), ("GreaterOrEqual", np.greater_equal), ("Less", np.less), ("LessOrEqual", np.less_equal)],
)
def test_a_score_and_its_threshold_decide(operator: str, compared: np.ufunc, negated: bool) -> None:
    found = deciders_of(
        deciding(operator, negated=negated), {"x": np.float32(3) * SCORES + NEARLY}, rows=True, name="it"
    )["label"]
    assert found.values.shape == (2, 2, 2, 1)
    assert np.abs(found.values[..., 1, 0] - SCORES).max() < 1e-7
    assert (found.values[..., 0, 0] == THRESHOLD).all()
    answer = (compared(SCORES, THRESHOLD) ^ negated).astype(np.int64)
    assert found.decides(answer)
    assert not found.decides(answer ^ np.array([[1, 0], [0, 0]]))
    excused = found.excuses(answer, 1 - answer)
    assert excused.tolist() == [[False, True], [False, False]], "only the score that is at the threshold ties"


def test_whole_numbers_that_are_compared_never_tie() -> None:
    model = deciding("Greater", kind=TensorProto.INT64)
    found = deciders_of(model, {"x": SCORES.astype(np.int64)}, rows=True, name="it")["label"]
    answer = np.zeros(SCORES.shape, np.int64)
    assert found.decides(answer)
    assert not found.excuses(answer, 1 - answer).any()
