"""Some boxes are kept in every correct run, and others in a few, where a score or an overlap is near a limit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from onnx import ModelProto, TensorProto, helper

from assay.export.checking.on_onnx_deciders import deciders_of
from assay.export.checking.suppression import Boxes, BoxLimits, kept, overlaps
from assay.numerics.ties.selected import AtLimit, Selected
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
    ("scores", "changed", "always", "sometimes"),
    [
        ([0.9, 0.8, 0.7, 0.6, 0.1], {}, [0, 2, 3], []),
        ([0.9, 0.8, 0.7, 0.6, 0.25], {}, [0, 2, 3], [4]),
        ([0.9, 0.8, 0.7, 0.7, 0.1], {}, [0, 2, 3], []),
        ([0.9, 0.9, 0.7, 0.6, 0.1], {}, [2, 3], [0, 1]),
        ([0.9, 0.8, 0.7, 0.6, 0.1], {1: HALF_OF_THE_FIRST}, [0, 2, 3], [1]),
    ],
)
def test_boxes_are_followed_where_a_score_or_an_overlap_is_near_a_limit(
    scores: list[float], changed: dict[int, np.ndarray], always: list[int], sometimes: list[int]
) -> None:
    boxes = BOXES.copy()
    for place, one in changed.items():
        boxes[place] = one
    model, feeds = suppressing(3 * np.array(scores), boxes)
    found = deciders_of(model, feeds, rows=False, name="it")["y"]
    assert isinstance(found, Selected)
    assert sorted(found.values[0, found.always[0], 2].tolist()) == always
    assert sorted(found.values[0, ~found.always[0], 2].tolist()) == sometimes
    assert found.sometimes.all()
    listed = np.array([[0, 0, one] for one in always]).reshape(1, -1)
    assert found.decides(listed)
    assert not found.decides(listed[:, :-3])


@pytest.mark.parametrize(
    ("scores", "moved", "why", "near"),
    [
        ([0.9, 0.8, 0.7, 0.6, 0.25 + 1e-5], {}, AtLimit.SCORE, 1e-5),
        ([0.9, 0.8, 0.7, 0.6, 0.1], {1: [0, 0, 1, 0.5 + 1e-4]}, AtLimit.OVERLAP, 1e-4),
        ([0.9, 0.9 + 1e-5, 0.7, 0.6, 0.1], {}, AtLimit.ORDER, 1e-5),
    ],
)
def test_how_near_a_limit_is_and_which_is_told(
    scores: list[float], moved: dict[int, list[float]], why: AtLimit, near: float
) -> None:
    boxes = BOXES / 3
    for place, one in moved.items():
        boxes[place] = one
    asked = Boxes(boxes[None], 1e-3, centred=False), np.array(scores)[None, None], np.full((1, 1, 5), 1e-3)
    found = kept(*asked, BoxLimits(least=0.25, overlap=0.5))
    some = found.sometimes & ~found.always
    assert some.any()
    assert set(found.why[some].tolist()) == {why}
    np.testing.assert_allclose(found.near[some], near, rtol=1e-3)
    assert not found.near[~some].any()


def test_the_last_place_that_is_kept_is_a_limit() -> None:
    """Two of the three boxes apart have the same score, and two boxes are kept."""
    boxes = np.array([[0, 0, 1, 1], [2, 0, 3, 1], [4, 0, 5, 1]], np.float64)
    asked = Boxes(boxes[None], 1e-3, centred=False), np.array([[[0.9, 0.5, 0.5]]]), np.full((1, 1, 3), 1e-3)
    found = kept(*asked, BoxLimits(least=0.1, overlap=0.5, most=2))
    assert found.always[0, 0].tolist() == [True, False, False]
    assert found.sometimes[0, 0].tolist() == [True, True, True]
    assert found.why[0, 0].tolist() == [AtLimit.NONE, AtLimit.COUNT, AtLimit.COUNT]
    assert not found.is_certain
    assert kept(*asked, BoxLimits(least=0.1, overlap=0.5, most=1)).is_certain
    assert not kept(*asked, BoxLimits(least=0.1, overlap=0.5, most=0)).sometimes.any()


def test_of_a_box_that_may_not_be_there_nothing_is_certain() -> None:
    """It would suppress the second."""
    there = {"always": np.array([False, True, True, True, True]), "sometimes": np.ones(5, bool)}
    scores = np.array([[[0.9, 0.8, 0.7, 0.6, 0.1]]])
    found = kept(Boxes(BOXES[None], 0.0, centred=False, **there), scores, np.zeros((1, 1, 5)), BoxLimits(0.25, 0.5))
    assert found.always[0, 0].tolist() == [False, False, True, True, False]
    assert found.sometimes[0, 0].tolist() == [True, True, True, True, False]


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


def greedy(boxes: np.ndarray, scores: np.ndarray, most: float) -> list[int]:
    """The boxes of one class that a greedy suppression keeps, with scores above a quarter and half as overlap."""
    found: list[int] = []
    both = overlaps(boxes, 0.0, centred=False)[0]
    for one in sorted(np.flatnonzero(scores > 0.25), key=lambda place: -scores[place]):
        if len(found) < most and not any(both[one, other] > 0.5 for other in found):
            found.append(int(one))
    return found


@settings(max_examples=100)
@given(
    boxes=hnp.arrays(np.float64, (6, 4), elements=st.integers(0, 4).map(float)),
    scores=hnp.arrays(np.float64, 6, elements=st.integers(0, 12).map(lambda one: one / 12)),
    box_off=hnp.arrays(np.float64, (6, 4), elements=st.floats(-1, 1)),
    score_off=hnp.arrays(np.float64, 6, elements=st.floats(-1, 1)),
    there=hnp.arrays(bool, 6),
    most=st.sampled_from([1, 2, np.inf]),
)
def test_a_run_keeps_what_is_always_kept_and_nothing_that_never_is(
    boxes: np.ndarray, scores: np.ndarray, box_off: np.ndarray, score_off: np.ndarray, there: np.ndarray, most: float
) -> None:
    """Scores and corners are off, and either of the last two boxes may be missing."""
    by = 1e-3
    always = np.array([True] * 4 + [False] * 2)
    there = there | always
    asked = Boxes(boxes[None], by, False, always, np.ones(6, bool)), scores[None, None], np.full((1, 1, 6), by)
    found = kept(*asked, BoxLimits(least=0.25, overlap=0.5, most=most))
    run = greedy(boxes + by * box_off, np.where(there, scores + by * score_off, 0), most)
    assert set(np.flatnonzero(found.always[0, 0])) <= set(run) <= set(np.flatnonzero(found.sometimes[0, 0]))
    if found.is_certain:
        assert run == greedy(boxes, scores, most)
