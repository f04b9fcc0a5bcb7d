"""One class per record, also for a user's model: accuracy from labels, and flips with the rule for ties."""

from __future__ import annotations

import numpy as np
import pytest

from assay.bench.tasks.task import Answers, task
from assay.errors import InputError
from assay.train.brought.model import Tensor
from assay.train.metrics import share

TASK = task("classification")
SCORES = Tensor(name="scores", dtype="float32", shape=(4,))
LABELS = np.array([0, 1, 2, 3, 0])
BASE = np.eye(4)[LABELS]


def test_accuracy_of_both_sides_and_flips() -> None:
    found = BASE.copy()
    found[0] = (0.0, 1.0, 0.0, 0.0)
    made = TASK.judge(Answers(SCORES, BASE, found, "float64", 1e-3, LABELS))
    (accuracy,) = made.qualities
    assert (accuracy.value, accuracy.base) == (share(4, 5), share(5, 5))
    assert (made.flips.decisions, made.flips.flipped, made.flips.excused) == (5, 1, 0)


def test_a_tie_is_not_a_flip() -> None:
    base, found = BASE.copy(), BASE.copy()
    base[0] = (1.0, 0.999, 0.0, 0.0)
    found[0] = (0.999, 1.0, 0.0, 0.0)
    made = TASK.judge(Answers(SCORES, base, found, "float64", 1e-3))
    assert (made.flips.flipped, made.flips.excused, made.qualities) == (0, 1, [])


def test_an_output_may_be_the_class_itself() -> None:
    label = Tensor(name="label", dtype="int64", shape=())
    made = TASK.judge(Answers(label, LABELS[:, None], (LABELS[:, None] + [[1], [0], [0], [0], [0]]), "it", 0, LABELS))
    assert (made.flips.flipped, made.qualities[0].value.value) == (1, 0.8)


@pytest.mark.parametrize(
    ("outputs", "labels", "said"),
    [
        ([Tensor(name="mask", dtype="float32", shape=(3, 8, 8))], None, "No output of the model fits"),
        (
            [Tensor(name="score", dtype="float32", shape=(1,))],
            None,
            "(?s)or more.*--threshold 0 of logits",
        ),
        ([SCORES, SCORES.model_copy(update={"name": "more"})], None, "Several outputs"),
        ([SCORES], LABELS + 1, "classes that the model does not"),
        ([SCORES], LABELS[:, None], "does not fit"),
    ],
)
def test_a_model_that_is_not_a_classifier_is_refused(
    outputs: list[Tensor], labels: np.ndarray | None, said: str
) -> None:
    with pytest.raises(InputError, match=said):
        TASK.output_of(outputs, labels)


def test_plain_numbers_have_nothing_that_is_right() -> None:
    assert task("numerical").output_of([SCORES], None) is None
    with pytest.raises(InputError, match=r"(?s)no right or wrong answers.*--task classification"):
        task("numerical").output_of([SCORES], LABELS)


SCORE = Tensor(name="score", dtype="float32", shape=(1,))


@pytest.mark.parametrize("shape", [(), (1,), (1, 1)])
@pytest.mark.parametrize("threshold", [0.0, 0.5])
def test_one_number_is_decided_by_the_threshold_that_was_said(threshold: float, shape: tuple[int, ...]) -> None:
    """The same numbers give other classes as logits and as probabilities, so the user has to say which they are."""
    output = SCORE.model_copy(update={"shape": shape})
    labels = np.array([0, 1, 1, 1])
    assert TASK.output_of([output], labels, threshold) == output
    numbers = np.array([-1.0, 0.2, 0.7, 2.0])[:, None]
    found = numbers.astype(np.float32)
    found[3] = -2.0
    made = TASK.judge(Answers(output, numbers, found, "float64", 1e-6, labels, threshold=threshold))
    assert (made.flips.flipped, made.flips.excused, made.threshold) == (1, 0, threshold)
    assert made.qualities[0].base == share(4 if threshold == 0 else 3, 4)
    assert made.qualities[0].value == share(3 if threshold == 0 else 2, 4)


def test_a_number_at_the_threshold_ties_and_nan_has_no_class() -> None:
    base = np.array([[1e-7], [3.0], [3.0]])
    found = np.array([[-1e-7], [np.nan], [3.0]])
    made = TASK.judge(Answers(SCORE, base, found, "float64", 1e-6, threshold=0.0))
    assert (made.flips.flipped, made.flips.excused) == (1, 1)


@pytest.mark.parametrize(
    ("outputs", "labels", "said"),
    [
        ([SCORES], None, "one number a record, which --threshold is for"),
        ([Tensor(name="label", dtype="int64", shape=())], None, "one number a record"),
        ([SCORE, SCORE.model_copy(update={"name": "more"})], None, "Several outputs"),
        ([SCORE], np.array([0, 2]), "from 0 to 1"),
    ],
)
def test_a_threshold_is_for_one_number(outputs: list[Tensor], labels: np.ndarray | None, said: str) -> None:
    with pytest.raises(InputError, match=said):
        TASK.output_of(outputs, labels, 0.5)


def test_plain_numbers_have_no_threshold() -> None:
    with pytest.raises(InputError, match=r"(?s)has no classes.*--task classification"):
        task("numerical").output_of([SCORE], None, 0.5)
