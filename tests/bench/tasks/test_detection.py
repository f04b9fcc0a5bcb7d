"""Boxes are matched by overlap and class, in any order; those without a partner are counted."""

from __future__ import annotations

import numpy as np
import pytest

from assay.bench.tasks.detection import overlaps
from assay.bench.tasks.task import Answers, AnswersBeside, task
from assay.errors import InputError
from assay.numerics.judgement import Judgement
from assay.numerics.ties.selected import Selected
from assay.train.brought.model import Tensor

TASK = task("detection")
RECORDS, COUNT = 3, 6
TOLERANCE = 1e-3
ALL = Tensor(name="output", dtype="float32", shape=(COUNT, 6))
BOXES = Tensor(name="boxes", dtype="float32", shape=(COUNT, 4), varying=(0,))
SCORES = Tensor(name="scores", dtype="float32", shape=(COUNT,), varying=(0,))
CLASSES = Tensor(name="labels", dtype="int64", shape=(COUNT,), varying=(0,))


def entries() -> np.ndarray:
    """Boxes of 10 by 10 that lie apart, with scores and classes, (records, boxes, 6)."""
    least = np.arange(RECORDS * COUNT * 2, dtype=np.float64).reshape(RECORDS, COUNT, 2) * 20
    scores = np.linspace(0.95, 0.2, COUNT) + np.zeros((RECORDS, 1))
    classes = np.arange(COUNT) % 3 + np.zeros((RECORDS, 1))
    return np.concatenate([least, least + 10, scores[..., None], classes[..., None]], axis=2)


def rows(some: np.ndarray) -> np.ndarray:
    return some.reshape(len(some), -1)


def judged(base: np.ndarray, found: np.ndarray, threshold: float | None = None) -> Judgement:
    return TASK.judge(Answers(ALL, rows(base), rows(found), "float64", TOLERANCE, threshold=threshold))


def judged_apart(base: np.ndarray, found: np.ndarray) -> Judgement:
    """The same with boxes, scores and classes as three outputs."""
    columns = ((SCORES, 4), (CLASSES, 5))
    others = [AnswersBeside(one, base[..., at], found[..., at]) for one, at in columns]
    boxes = rows(base[..., :4]), rows(found[..., :4])
    return TASK.judge(Answers(BOXES, *boxes, "float64", TOLERANCE, others=others))


def test_the_overlap_is_the_intersection_over_the_union() -> None:
    left = np.array([[0.0, 0, 2, 2], [0, 0, 1, 1]])
    right = np.array([[1.0, 0, 3, 2], [5, 5, 6, 6]])
    np.testing.assert_allclose(overlaps(left, right), [[2 / 6, 0], [0, 0]])
    assert overlaps(left, left)[0, 0] == 1


@pytest.mark.parametrize("judge", [judged, judged_apart])
def test_boxes_in_another_order_and_a_little_moved_have_a_partner(judge: object) -> None:
    assert callable(judge)
    base = entries()
    found = base[:, ::-1] + np.array([0.5, 0, 0.5, 0, 0, 0])
    assert judge(base, found).flips.model_dump() == {
        "decisions": RECORDS * COUNT, "flipped": 0, "excused": 0, "records": 0,
    }  # fmt: skip


@pytest.mark.parametrize("judge", [judged, judged_apart])
def test_a_box_elsewhere_and_one_of_another_class_are_counted_on_both_sides(judge: object) -> None:
    assert callable(judge)
    base = entries()
    found = base.copy()
    found[0, 0, :4] += 6  # an intersection over union of 0.09
    found[1, 2, 5] += 1
    flips = judge(base, found).flips
    assert (flips.flipped, flips.records, flips.decisions) == (4, 2, RECORDS * COUNT)


def test_a_missing_box_and_one_too_many_are_counted_once_each() -> None:
    base = entries()
    fewer, more = base.copy(), np.concatenate([base, base[:, :1] + 5000], axis=1)
    fewer[2, 1] = np.nan  # what is left of an output with room for more
    assert judged(base, fewer).flips.flipped == 1
    assert judged(fewer, base).flips.flipped == 1
    one = ALL.model_copy(update={"shape": (COUNT + 1, 6)})
    padded = np.concatenate([base, np.zeros((RECORDS, 1, 6))], axis=1)
    flips = TASK.judge(Answers(one, rows(padded), rows(more), "float64", TOLERANCE)).flips
    assert (flips.flipped, flips.decisions) == (RECORDS, RECORDS * (COUNT + 1))


@pytest.mark.parametrize(("gone", "fails"), [(1, False), (2, True)])
def test_reduced_precision_may_lose_one_box_in_twenty(gone: int, fails: bool) -> None:
    base = np.concatenate([entries()] * 2, axis=1)[:, :10]
    base[:, 6:, :4] += 1000
    found = base.copy()
    found[:gone, 0, :4] = 0
    answers = Answers(ALL, rows(base), rows(found), "float64", TOLERANCE)
    reason = TASK.reason_against_reduced(answers, TASK.judge(answers))
    assert bool(reason) == fails
    assert not fails or "have no partner in float64: at most 5% of the boxes" in reason


def test_each_box_has_one_partner_and_the_largest_overlap_comes_first() -> None:
    """The second box overlaps both of the others' well, and the first takes the one that it is nearest to."""
    base = np.array([[[0, 0, 10, 10, 0.9, 0], [2, 0, 12, 10, 0.8, 0]]], np.float64)
    found = np.array([[[1.5, 0, 11.5, 10, 0.9, 0], [0.5, 0, 10.5, 10, 0.8, 0]]], np.float64)
    two = ALL.model_copy(update={"shape": (2, 6)})
    assert TASK.judge(Answers(two, rows(base), rows(found), "float64", TOLERANCE)).flips.flipped == 0
    twice = np.repeat(base[:, :1], 2, axis=1)
    base[0, 1, :4] += [4, 0, 4, 0]
    assert TASK.judge(Answers(two, rows(base), rows(twice), "float64", TOLERANCE)).flips.flipped == 2


def test_a_threshold_leaves_out_low_scores_and_excuses_those_beside_it() -> None:
    base = entries()
    found = base.copy()
    found[0, -1, :4] += 500  # its score is 0.2
    assert judged(base, found).flips.flipped == 2
    assert judged(base, found, threshold=0.3).flips.model_dump() == {
        "decisions": RECORDS * (COUNT - 1), "flipped": 0, "excused": 0, "records": 0,
    }  # fmt: skip
    base[1, 0, 4], found[1, 0, 4] = 0.3 - TOLERANCE / 2, 0.3 + TOLERANCE / 2
    flips = judged(base, found, threshold=0.3).flips
    assert (flips.flipped, flips.excused) == (0, 1)


def test_a_box_that_only_some_correct_runs_select_is_excused_on_either_side() -> None:
    """The last box of the first record is at a limit; the other records are not known."""
    base = entries()
    sometimes = np.ones((1, COUNT), bool)
    always = sometimes.copy()
    always[0, -1] = False
    known = Selected(
        values=base[:1],
        always=always,
        sometimes=sometimes,
        near=np.zeros((1, COUNT)),
        why=np.zeros((1, COUNT), np.uint8),
        tolerance=TOLERANCE,
        operator="NonMaxSuppression",
    )
    fewer = base.copy()
    fewer[:2, -1] = np.nan
    for sides in ((base, fewer), (fewer, base)):
        flips = TASK.judge(Answers(ALL, *map(rows, sides), "float64", TOLERANCE, decider=known)).flips
        assert (flips.flipped, flips.excused, flips.records) == (1, 1, 1)


def test_centres_and_sizes_are_boxes_too() -> None:
    corners = entries()
    base = corners.copy()
    base[..., :2], base[..., 2:4] = corners[..., :2] + 5, 10
    base[0, 0, :2] = 0.25  # a box that could be corners
    found = base.copy()
    found[1, 1, 2:4] = 3
    flips = judged(base, found).flips
    assert (flips.decisions, flips.flipped) == (RECORDS * COUNT, 2)


def test_many_boxes_are_compared_in_their_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("assay.bench.tasks.detection.MOST_PAIRS", 10)
    base = entries()
    found = base.copy()
    found[0, 0, 5] += 1
    assert judged(base, found).flips.flipped == 2
    assert judged(base, base[:, ::-1]).flips.flipped > 2


@pytest.mark.parametrize(
    ("outputs", "found"),
    [
        ([ALL], "output"),
        ([SCORES, CLASSES, BOXES], "boxes"),
        ([Tensor(name="five", dtype="float32", shape=(4, 5)), BOXES], "boxes"),
    ],
)
def test_the_output_with_boxes_is_found(outputs: list[Tensor], found: str) -> None:
    assert TASK.output_of(outputs, None).name == found


def test_what_does_not_fit_is_refused_with_what_does() -> None:
    with pytest.raises(InputError, match="expected one whose last dimension has a box"):
        TASK.output_of([SCORES], None)
    with pytest.raises(InputError, match="compares boxes with the reference's"):
        TASK.output_of([ALL], np.zeros(RECORDS))
    with pytest.raises(InputError, match="the model has no scores"):
        TASK.output_of([BOXES, CLASSES], None, 0.5)
    assert TASK.output_of([BOXES, SCORES], None, 0.5) is BOXES
