"""NonMaxSuppression gives one result where nothing is near a limit, and is not followed otherwise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from onnx import ModelProto, TensorProto, helper

from assay.export.checking.on_onnx_deciders import deciders_of
from assay.export.checking.suppression import Boxes, keeps_clearly, overlaps
from assay.numerics.ties import Alternatives, Unfollowed
from tests.onnx_files import onnx_model

INT64 = TensorProto.INT64
node = helper.make_node


def suppressing(scores: np.ndarray, boxes: np.ndarray) -> tuple[ModelProto, dict[str, np.ndarray]]:
    """A file that keeps the best boxes, with both its inputs divided by three."""
    model = onnx_model(
        [
            node("Mul", ["boxes", "third"], ["b"]),
            node("Mul", ["scores", "third"], ["s"]),
            node("NonMaxSuppression", ["b", "s", "most", "overlap", "least"], ["y"]),
        ],
        {"boxes": None, "scores": None},
        {"y": (INT64, None)},
        {
            "third": np.float32(1 / 3),
            "most": np.array([9]),
            "overlap": np.array([0.5], np.float32),
            "least": np.array([0.25], np.float32),
        },
        ir_version=8,
    )
    return model, {"boxes": boxes[None].astype(np.float32), "scores": scores[None, None].astype(np.float32)}


BOXES = np.array([[0, 0, 1, 1], [0, 0, 1, 0.9], [2, 2, 3, 3], [2, 2, 3, 2.4], [5, 5, 6, 6]]) * 3
"""The second has nine tenths of the first, and the fourth four tenths of the third."""
HALF_OF_THE_FIRST = np.array([0, 0, 3, 1.5])


@pytest.mark.parametrize(
    ("scores", "changed", "clear"),
    [
        ([0.9, 0.8, 0.7, 0.6, 0.1], {}, True),
        ([0.9, 0.8, 0.7, 0.6, 0.25], {}, False),
        ([0.9, 0.8, 0.7, 0.7, 0.1], {}, False),
        ([0.9, 0.8, 0.7, 0.6, 0.1], {1: HALF_OF_THE_FIRST}, False),
    ],
)
def test_boxes_are_kept_beyond_doubt_where_no_score_and_no_overlap_is_near_a_limit(
    scores: list[float], changed: dict[int, np.ndarray], clear: bool
) -> None:
    boxes = BOXES.copy()
    for place, one in changed.items():
        boxes[place] = one
    model, feeds = suppressing(3 * np.array(scores), boxes)
    found = deciders_of(model, feeds, rows=False, name="it")["y"]
    assert isinstance(found, Alternatives if clear else Unfollowed)
    if isinstance(found, Alternatives):
        assert found.values.tolist() == [[[one] for one in (0, 0, 0, 0, 0, 2, 0, 0, 3)]]


@settings(max_examples=50)
@given(
    boxes=hnp.arrays(np.float64, (4, 4), elements=st.floats(0, 4)),
    off=hnp.arrays(np.float64, (4, 4), elements=st.floats(-1, 1)),
    by=st.sampled_from([1e-6, 1e-3, 0.3]),
    centred=st.booleans(),
)
def test_overlaps_lie_between_their_limits_whatever_corners_are_off(
    boxes: np.ndarray, off: np.ndarray, by: float, centred: bool
) -> None:
    least, most = overlaps(boxes, by, centred=centred)
    exact, _ = overlaps(boxes + by * off, 0.0, centred=centred)
    known = ~(np.isnan(exact) | np.isnan(least) | np.isnan(most))
    assert (least - 1e-9 <= exact)[known].all()
    assert (exact <= most + 1e-9)[known].all()


def kept(boxes: np.ndarray, scores: np.ndarray) -> list[int]:
    """The boxes of one class that a greedy suppression keeps, with scores above a quarter and half as overlap."""
    found: list[int] = []
    both = overlaps(boxes, 0.0, centred=False)[0]
    for one in sorted(np.flatnonzero(scores > 0.25), key=lambda place: -scores[place]):
        if not any(both[one, other] > 0.5 for other in found):
            found.append(int(one))
    return found


@settings(max_examples=50)
@given(
    boxes=hnp.arrays(np.float64, (5, 4), elements=st.integers(0, 4).map(float)),
    scores=hnp.arrays(np.float64, 5, elements=st.integers(0, 12).map(lambda one: one / 12)),
    box_off=hnp.arrays(np.float64, (5, 4), elements=st.floats(-1, 1)),
    score_off=hnp.arrays(np.float64, 5, elements=st.floats(-1, 1)),
)
def test_what_is_kept_clearly_is_kept_whatever_scores_and_corners_are_off(
    boxes: np.ndarray, scores: np.ndarray, box_off: np.ndarray, score_off: np.ndarray
) -> None:
    by = 1e-3
    asked = Boxes(boxes[None], by, centred=False), scores[None, None], np.full((1, 1, 5), by)
    if keeps_clearly(*asked, least=0.25, overlap=0.5):
        assert kept(boxes, scores) == kept(boxes + by * box_off, scores + by * score_off)
