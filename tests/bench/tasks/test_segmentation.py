"""One class per pixel: measures from labels, with intervals over images, and flips with the rule for ties."""

from __future__ import annotations

import numpy as np
import pytest

from assay.bench.tasks.segmentation import (
    MEAN_IOU,
    PIXEL_ACCURACY,
    interval_over_images,
    mean_iou,
    pixel_accuracy,
    qualities_of,
    sums_of,
)
from assay.bench.tasks.task import Answers, task
from assay.errors import InputError
from assay.numerics.judgement import Judgement
from assay.train.brought.model import Tensor

TASK = task("segmentation")
IMAGES, CLASSES, HEIGHT, WIDTH = 6, 3, 4, 5
CHANCE = np.random.default_rng(0)
LABELS = CHANCE.integers(0, CLASSES, (IMAGES, HEIGHT, WIDTH))
FIRST = Tensor(name="scores", dtype="float32", shape=(CLASSES, HEIGHT, WIDTH))
LAST = Tensor(name="scores", dtype="float32", shape=(HEIGHT, WIDTH, CLASSES))
MAP = Tensor(name="classes", dtype="int64", shape=(HEIGHT, WIDTH))
TOLERANCE = 1e-3


def scores(axis: int) -> np.ndarray:
    """Rows of scores whose largest is the label everywhere."""
    exact = np.moveaxis(np.eye(CLASSES)[LABELS], -1, 1)
    return np.moveaxis(exact, 1, axis).reshape(IMAGES, -1)


def judged(output: Tensor, base: np.ndarray, found: np.ndarray, labels: np.ndarray = LABELS) -> Judgement:
    return TASK.judge(Answers(output, base, found, "float64", TOLERANCE, labels))


@pytest.mark.parametrize(("output", "axis"), [(FIRST, 1), (LAST, -1)])
def test_the_axis_of_the_classes_is_the_one_that_labels_lack(output: Tensor, axis: int) -> None:
    assert TASK.output_of([Tensor(name="other", dtype="float32", shape=(7,)), output], LABELS) is output
    found = judged(output, scores(axis), scores(axis).astype(np.float32))
    assert found.flips.model_dump() == {
        "decisions": IMAGES * HEIGHT * WIDTH, "flipped": 0, "excused": 0, "records": 0,
    }  # fmt: skip
    assert [one.value.value for one in found.qualities] == [1.0, 1.0]


def test_an_output_may_be_the_class_of_each_pixel_itself() -> None:
    rows = LABELS.reshape(IMAGES, -1)
    other = rows.copy()
    other[2, :3] = (other[2, :3] + 1) % CLASSES
    assert TASK.output_of([MAP], LABELS) is MAP
    found = judged(MAP, rows, other)
    assert (found.flips.flipped, found.flips.records) == (3, 1)


def test_a_flip_counts_per_pixel_unless_what_decides_ties() -> None:
    base = scores(1).reshape(IMAGES, CLASSES, -1)
    found = base.copy()
    base[0, :, 0] = (0.0, 1.0, 1.0 - TOLERANCE)  # the two best are closer than two correct runs may be off
    found[0, :, 0] = (0.0, 1.0, 1.0 + TOLERANCE / 2)
    for pixel in (1, 2):
        found[1, :, pixel] = np.roll(base[1, :, pixel], 1)
    found[2, 0, 0] = np.nan
    made = judged(FIRST, base.reshape(IMAGES, -1), found.reshape(IMAGES, -1))
    assert (made.flips.flipped, made.flips.excused, made.flips.records) == (3, 1, 2)


def test_pixel_accuracy_and_mean_iou_by_hand() -> None:
    labels = np.array([[0, 0, 1, 1], [1, 1, 255, -1]])
    answered = np.array([[0, 1, 1, 1], [1, 0, 2, 2]])
    sums = sums_of(answered, labels, 3)
    all_images = sums.drawn(np.ones((1, 2), int))
    assert pixel_accuracy(all_images)[0] == 4 / 6
    # Class 0: 1 of 3; class 1: 3 of 5; class 2 is answered only where nothing is labelled, and left out.
    assert mean_iou(all_images)[0] == pytest.approx((1 / 3 + 3 / 5) / 2)


def test_pixels_without_a_label_are_counted_and_left_out() -> None:
    labels = LABELS.copy()
    labels[:, 0] = 255
    wrong = scores(1).reshape(IMAGES, CLASSES, HEIGHT, WIDTH)
    wrong[:, :, 0] = 0
    found = judged(FIRST, scores(1), wrong.reshape(IMAGES, -1), labels)
    assert found.left_out == IMAGES * WIDTH
    assert [one.value.value for one in found.qualities] == [1.0, 1.0]
    assert [one.name for one in found.qualities] == [PIXEL_ACCURACY, MEAN_IOU]


def test_intervals_are_over_images_and_hold_what_they_promise() -> None:
    """The pixels of an image are right or wrong together: Wilson's interval over pixels would be far too narrow."""
    images, pixels, truth, covered, chance = 30, 50, 0.8, 0, np.random.default_rng(3)
    for _ in range(100):
        right = chance.binomial(pixels, chance.beta(8, 2, images))
        answered = (np.arange(pixels)[None, :] >= right[:, None]).astype(int)
        sums = sums_of(answered, np.zeros((images, pixels), int), 2)
        draws = chance.multinomial(images, np.full(images, 1 / images), 400)
        found = interval_over_images(pixel_accuracy, sums, draws)
        covered += found.low <= truth <= found.high
    assert 88 <= covered <= 100


def test_the_difference_is_paired_with_the_reference_image_by_image() -> None:
    """Eight images lose the same pixel of four: exchanged by coins, all go one way in two of 256 cases."""
    labels = np.tile([0, 0, 1, 1], (8, 1))
    worse = labels.copy()
    worse[:, 0] = 1
    (one, _) = qualities_of(sums_of(worse, labels, 2), sums_of(labels, labels, 2))
    assert one.difference is not None
    assert (one.value.value, one.base.value, one.difference.value) == (0.75, 1.0, -0.25)
    assert one.p_value == pytest.approx(2 / 256, abs=0.006)
    (same, _) = qualities_of(sums_of(labels, labels, 2), sums_of(labels, labels, 2))
    assert same.p_value == 1.0
    assert same.difference is not None
    assert same.difference.low < 0 < same.difference.high


def test_few_images_promise_little() -> None:
    labels = np.zeros((1, 4), int)
    (one, _) = qualities_of(sums_of(labels, labels, 2), sums_of(labels, labels, 2))
    assert (one.value.low, one.value.high) == (0.0, 1.0)
    labels = np.zeros((5, 4), int)
    (five, _) = qualities_of(sums_of(labels, labels, 2), sums_of(labels, labels, 2))
    assert 0.4 < five.value.low < 0.6
    assert five.value.high == 1.0


@pytest.mark.parametrize(
    ("outputs", "labels", "said"),
    [
        ([FIRST], None, "needs the labels"),
        ([Tensor(name="a", dtype="float32", shape=(8,))], LABELS, "No output of the model fits"),
        ([FIRST, LAST], LABELS, "Several outputs.*--without"),
        ([FIRST], LABELS + 1, "classes that the model does not.*3"),
        ([FIRST], LABELS.astype(float), "has no classes"),
        ([FIRST], np.full_like(LABELS, 255), "has no label for any record"),
        ([Tensor(name="a", dtype="float32", shape=(4, 4, 4))], np.zeros((2, 4, 4), int), "is ambiguous"),
    ],
)
def test_labels_that_do_not_go_with_the_model_are_refused(
    outputs: list[Tensor], labels: np.ndarray | None, said: str
) -> None:
    with pytest.raises(InputError, match=f"(?s){said}"):
        TASK.output_of(outputs, labels)


def test_one_number_a_pixel_is_decided_by_the_threshold_that_was_said() -> None:
    labels = np.array([[[0, 1], [1, 255]], [[0, 0], [1, 1]]])
    output = Tensor(name="mask", dtype="float32", shape=(1, 2, 2))
    with pytest.raises(InputError, match=r"(?s)No output of the model fits.*--threshold 0 of logits"):
        TASK.output_of([output], labels)
    assert TASK.output_of([output], labels, 0.5) == output
    base = np.array([[0.1, 0.9, 0.6, 0.2], [0.1, 0.4, 0.9, 0.8]])
    found = base.copy()
    found[0, 2] = 0.4
    made = TASK.judge(Answers(output, base, found, "float64", 1e-6, labels, threshold=0.5))
    assert (made.flips.decisions, made.flips.flipped, made.threshold, made.left_out) == (8, 1, 0.5, 1)
    assert (made.qualities[0].base.value, made.qualities[0].value.value) == (1.0, pytest.approx(6 / 7))
    with pytest.raises(InputError, match="one number for each of the labels"):
        TASK.output_of([output.model_copy(update={"shape": (2, 2, 2)})], labels, 0.5)


def against_reduced(pixels: int, *, sure: bool) -> str:
    """The verdict if this many of 100,000 pixels, half of them of either class, change from the first class."""
    labels = np.repeat([[[0], [1]]], 50_000, axis=2).reshape(1, 100, 1000)
    output = Tensor(name="scores", dtype="float32", shape=(2, 100, 1000))
    base = np.moveaxis(np.eye(2)[labels], -1, 1) * (8.0 if sure else 0.4) + 2
    found = base.copy()
    found.reshape(1, 2, -1)[:, 1, :pixels] = 11.0
    answers = Answers(output, base.reshape(1, -1), found.reshape(1, -1), "float64", TOLERANCE, labels)
    return TASK.reason_against_reduced(answers, TASK.judge(answers))


def test_in_reduced_precision_one_pixel_in_a_thousand_may_change_that_the_reference_is_sure_of() -> None:
    assert against_reduced(100, sure=True) == ""
    assert "101 of 100,000 pixels (1 record) change that float64 is sure of" in against_reduced(101, sure=True)
    assert against_reduced(101, sure=False) == ""


def test_in_reduced_precision_no_measure_falls_by_more_than_a_hundredth() -> None:
    """Pixels of which nobody is certain count for accuracy, and a class that vanishes counts for the mean."""
    assert against_reduced(1000, sure=False).startswith("mean IoU is 98.02%, against 100.00%")
    labels = np.zeros((1, 100, 100), np.int64)
    labels[0, 0, :5] = 1
    output = Tensor(name="scores", dtype="float32", shape=(2, 100, 100))
    base = np.moveaxis(np.eye(2)[labels], -1, 1) * 8.0
    found = base.copy()
    found[:, 1, 0, :5] = 7.9
    found[:, 0, 0, :5] = 8.0
    answers = Answers(output, base.reshape(1, -1), found.reshape(1, -1), "float64", TOLERANCE, labels)
    judgement = TASK.judge(answers)
    assert judgement.flips.flipped == 5
    assert TASK.reason_against_reduced(answers, judgement).startswith("mean IoU is 49.98%, against 100.00%")
