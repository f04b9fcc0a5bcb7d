"""One accuracy on one set of images, including images for which a cell's own outputs were not computed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from assay.bench.auditing.runs import TEST, WHOLE
from assay.bench.choosing.choose import choose
from assay.bench.tasks.classification.accuracy import LOGITS_THAT_MAY_BE_OFF, accuracy_of
from assay.errors import FailedError
from assay.numerics.classification.measured import Flip, MeasuredClasses
from assay.numerics.classification.pictured import NarrowImage, WholeSplit, whole_split
from assay.numerics.classification.significance import compare_accuracy
from assay.numerics.numbers import Measured
from assay.records.audit import Comparison, ModelAudit, read_audit
from assay.records.choice import Constraints
from assay.records.results import read_results
from assay.registry import TASK_OF_ARCHITECTURES
from assay.train.metrics import share

PUBLISHED = Path(__file__).parents[3] / "artifacts/reference"
IMAGES, SAMPLE, RIGHT = 3421, 128, 3317
TOLERANCE = 1e-4
EDGE = LOGITS_THAT_MAY_BE_OFF * TOLERANCE


def measured(images: int, right: int, *, largest: float = 1e-6, flips: list[float] | None = None) -> Measured:
    """The comparison of a subject with as many images right as the reference; each flip is of an image with this
    margin.
    """
    listed = [
        Flip(image=n, label=0, reference_class=0, candidate_class=1, reference_margin=one, candidate_margin=0.1)
        for n, one in enumerate(flips or [])
    ]
    return Measured(
        images=images, not_finite=0, scale=10, max_absolute=largest, max_relative=largest / 10, max_ulps=9,
        rms_relative=1e-7, effective_bits=22, stored_bits=24, min_cosine=1,
        classes=MeasuredClasses(
            max_total_variation=0, mean_total_variation=0, max_divergence=0, agreement=1, flip_count=len(listed),
            flips=listed, accuracy=compare_accuracy(images, right, 0, 0),
        ),
    )  # fmt: skip


def compared(inputs: str, found: Measured, precision: str = "fp32", *, passed: bool = True) -> Comparison:
    return Comparison(
        subject="a", inputs=inputs, batch=32, threads=1, images=found.images, measured=found, tolerance=TOLERANCE,
        precision=precision, passed=passed,
    )  # fmt: skip


ON_SAMPLE = compared(TEST, measured(SAMPLE, 122))


def model(*comparisons: Comparison, margins: list[float] | None = None) -> ModelAudit:
    """An audit whose reference has these margins at its narrowest images, which are alternately right and wrong."""
    narrow = [
        NarrowImage(image=n, label=0, reference_class=n % 2, margin=one) for n, one in enumerate(sorted(margins or []))
    ]
    return ModelAudit(
        name="bloodnet/224", task=TASK_OF_ARCHITECTURES, reference="float64", reference_check=None, models={},
        inputs=[], tolerances=[],
        comparisons=list(comparisons), split=WholeSplit(images=IMAGES, right=RIGHT, narrow=narrow) if margins else None,
    )  # fmt: skip


def test_fp32_has_the_reference_s_classes_where_margins_are_beyond_what_rounding_can_do() -> None:
    found = accuracy_of(model(ON_SAMPLE, margins=[EDGE * 1.01, 1.0]), [ON_SAMPLE])
    assert (found.images, found.open, found.inferred) == (IMAGES, 0, True)
    assert found.interval == share(RIGHT, IMAGES)


def test_an_image_on_the_edge_is_counted_right_and_wrong() -> None:
    """Of three narrow images the reference has the first and third right: two may be lost, and one gained."""
    found = accuracy_of(model(ON_SAMPLE, margins=[0.0, EDGE / 2, EDGE, 1.0]), [ON_SAMPLE])
    assert found.open == 3
    assert found.interval.value == RIGHT / IMAGES
    assert found.interval.low == share(RIGHT - 2, IMAGES).low
    assert found.interval.high == share(RIGHT + 1, IMAGES).high


def test_where_more_may_be_on_the_edge_than_are_listed_only_the_own_outputs_count() -> None:
    found = accuracy_of(model(ON_SAMPLE, margins=[EDGE / 2, EDGE * 0.99]), [ON_SAMPLE])
    assert (found.images, found.inferred) == (SAMPLE, False)
    assert found.interval == share(122, SAMPLE)


def test_a_larger_tolerance_proves_less() -> None:
    loose = ON_SAMPLE.model_copy(update={"tolerance": 10 * TOLERANCE})
    assert accuracy_of(model(loose, margins=[EDGE * 2, 1.0]), [loose]).open == 1


def test_nothing_is_inferred_for_less_than_fp32_nor_for_what_failed() -> None:
    int8 = ON_SAMPLE.model_copy(update={"precision": "int8", "tolerance": 0.0})
    failed = ON_SAMPLE.model_copy(update={"passed": False})
    for one in (int8, failed):
        assert accuracy_of(model(one, margins=[1.0]), [one]).images == SAMPLE


def test_own_outputs_on_all_images_need_no_proof() -> None:
    whole = compared(WHOLE, measured(IMAGES, 3300), "int8")
    found = accuracy_of(model(whole, margins=[1.0]), [ON_SAMPLE.model_copy(update={"precision": "int8"}), whole])
    assert (found.images, found.inferred) == (IMAGES, False)
    assert found.interval == share(3300, IMAGES)


@pytest.mark.parametrize(("flips", "most"), [([0.3], 7), ([EDGE / 2, 0.3], 12)])
def test_older_audits_bound_edge_images_by_the_changes_of_larger_errors(flips: list[float], most: int) -> None:
    """With eight images on the edge, none changes with a chance of (2/3)^8 = 0.04; with seven, 0.06."""
    int8 = compared(WHOLE, measured(IMAGES, RIGHT, largest=0.4, flips=flips), "int8")
    found = accuracy_of(model(ON_SAMPLE, int8), [ON_SAMPLE])
    assert found.images == IMAGES
    assert found.interval.low == share(RIGHT - most, IMAGES).low
    assert found.interval.high == share(RIGHT + most, IMAGES).high


def test_older_audits_without_larger_errors_say_nothing_of_other_images() -> None:
    close = compared(WHOLE, measured(IMAGES, RIGHT, largest=EDGE), "bf16")
    assert accuracy_of(model(ON_SAMPLE, close), [ON_SAMPLE]).images == SAMPLE
    assert accuracy_of(model(ON_SAMPLE), [ON_SAMPLE]).images == SAMPLE


def test_without_labels_there_is_no_accuracy() -> None:
    found = measured(SAMPLE, 1)
    assert found.classes
    unlabelled = found.model_copy(update={"classes": found.classes.model_copy(update={"accuracy": None})})
    bare = ON_SAMPLE.model_copy(update={"measured": unlabelled})
    with pytest.raises(FailedError, match="no accuracy"):
        accuracy_of(model(bare), [bare])


def test_the_reference_s_narrowest_images_are_kept_in_order() -> None:
    random = np.random.default_rng(0)
    logits, labels = random.normal(0, 3, (500, 8)), random.integers(0, 8, 500)
    found = whole_split(logits, labels)
    two = np.sort(logits, axis=1)[:, -2:]
    assert [one.margin for one in found.narrow] == pytest.approx(sorted(two[:, 1] - two[:, 0])[:32])
    assert found.right == int((logits.argmax(axis=1) == labels).sum())
    assert all(one.reference_class == logits[one.image].argmax() for one in found.narrow)
    assert all(one.label == labels[one.image] for one in found.narrow)


def test_the_published_study_answers_what_has_96_percent() -> None:
    """Its audit ran fp32 on 128 images, of which 95.31 % are right (90.15 to 97.83): no lower bound of 96 %."""
    constraints = Constraints(architecture="bloodnet", size=224, batch=1, precisions=["fp32"], least_quality=0.96)
    found = choose(read_results(PUBLISHED / "results.json"), read_audit(PUBLISHED / "audit.json"), constraints)
    assert found.answer.startswith("bloodnet/224/b1/t1/")
    assert {one.quality_images for one in found.candidates} == {IMAGES}
    assert all(one.quality and one.quality.value == pytest.approx(0.9696, abs=1e-4) for one in found.candidates)


def test_only_outputs_on_the_test_split_have_an_accuracy_and_the_most_images_count() -> None:
    made = compared("hard", measured(2 * IMAGES, 10), "int8")
    failed = compared(TEST, measured(SAMPLE, 122), "int8").model_copy(update={"measured": None})
    sample, whole = compared(TEST, measured(SAMPLE, 122), "int8"), compared(WHOLE, measured(IMAGES, 3300), "int8")
    assert accuracy_of(model(), [made, failed, sample]).interval == share(122, SAMPLE)
    for order in ([made, sample, whole], [whole, sample, made]):
        assert accuracy_of(model(), order).interval == share(3300, IMAGES)


def test_lost_and_gained_images_leave_none_and_all() -> None:
    """If none of three images that may change class is right, none can be lost."""
    few = ModelAudit(
        name="bloodnet/224", task=TASK_OF_ARCHITECTURES, reference="float64", reference_check=None, models={},
        inputs=[], tolerances=[],
        comparisons=[], split=WholeSplit(images=200, right=1, narrow=[
            NarrowImage(image=n, label=0, reference_class=0, margin=one) for n, one in enumerate((0.0, EDGE, 9.0))
        ]),
    )  # fmt: skip
    found = accuracy_of(few, [ON_SAMPLE])
    assert found.open == 2
    assert found.interval.low == share(0, 200).low
    assert found.interval.high == share(1, 200).high


def test_an_audit_that_was_read_says_what_one_that_was_made_says() -> None:
    int8 = compared(WHOLE, measured(IMAGES, RIGHT, largest=0.4, flips=[0.3]), "int8")
    made = model(ON_SAMPLE, int8)
    read = ModelAudit.model_validate_json(made.model_dump_json())
    assert accuracy_of(read, read.comparisons[:1]) == accuracy_of(made, made.comparisons[:1])
    assert accuracy_of(read, read.comparisons[:1]).inferred
