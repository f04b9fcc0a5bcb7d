"""Measures that classification derives from logits: known answers, chunks compared with the whole, and changed
classes.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from assay.errors import InputError
from assay.numerics.classification.measured import FLIPS_LISTED, MeasuredClasses, margin, probability_distances
from assay.numerics.classification.measuring import ClassAccumulator
from assay.numerics.numbers import measure
from tests.measured_classes import measure_classes

Float64 = NDArray[np.float64]


def logits(rows: int = 500, classes: int = 8) -> Float64:
    return np.random.default_rng(0).normal(0, 5, (rows, classes))


def classes_of(reference: Float64, candidate: Float64, labels: NDArray[np.int64] | None = None) -> MeasuredClasses:
    found = measure_classes(reference, candidate, labels).classes
    assert found is not None
    return found


def assert_same(one: MeasuredClasses, other: MeasuredClasses) -> None:
    """Equal except for the order in which sums were rounded."""
    left, right = one.model_dump(), other.model_dump()
    for name, value in left.items():
        if isinstance(value, float) or (isinstance(value, dict) and value is not None):
            assert value == pytest.approx(right[name], rel=1e-9, abs=1e-15), name
        else:
            assert value == right[name], name


@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 60),
    st.integers(1, 9),
    st.lists(st.integers(0, 60), max_size=6),
    st.booleans(),
    st.booleans(),
)
def test_chunks_give_what_the_whole_gives(
    seed: int, rows: int, classes: int, cuts: list[int], labelled: bool, broken: bool
) -> None:
    random = np.random.default_rng(seed)
    reference = random.normal(0, 3, (rows, classes))
    candidate = reference + random.normal(0, 1, reference.shape) * 10.0 ** random.integers(-9, 1)
    if broken:
        candidate[random.integers(rows), random.integers(classes)] = random.choice([np.nan, np.inf])
    labels = random.integers(0, classes, rows) if labelled else None
    accumulator = ClassAccumulator()
    for rows_of_chunk in np.split(np.arange(rows), sorted(min(cut, rows) for cut in cuts)):
        piece = None if labels is None else labels[rows_of_chunk]
        accumulator.add(reference[rows_of_chunk], candidate[rows_of_chunk], piece)
    found = accumulator.result()
    assert found.classes is not None
    assert_same(found.classes, classes_of(reference, candidate, labels))
    assert found.images == rows


def test_a_flip_is_listed_with_its_margins_and_label() -> None:
    reference = np.array([[0.0, 1.0, 3.0], [5.0, 1.0, 4.5]])
    candidate = np.array([[0.0, 1.0, 3.0], [4.6, 1.0, 4.7]])
    found = classes_of(reference, candidate, np.array([2, 0]))
    (flip,) = found.flips
    assert (flip.image, flip.label, flip.reference_class, flip.candidate_class) == (1, 0, 0, 2)
    assert (flip.reference_margin, flip.candidate_margin) == pytest.approx((0.5, 0.1))
    assert found.agreement == 0.5
    assert found.accuracy is not None
    assert (found.accuracy.reference, found.accuracy.candidate, found.accuracy.lost) == (1.0, 0.5, 1)


def test_the_list_of_flips_has_an_end_and_their_count_has_none() -> None:
    reference = np.tile([[0.0, 1.0]], (FLIPS_LISTED + 5, 1))
    found = classes_of(reference, reference[:, ::-1])
    assert (len(found.flips), found.flip_count) == (FLIPS_LISTED, FLIPS_LISTED + 5)


def test_probability_distances_are_those_of_the_textbook() -> None:
    reference, candidate = np.log([[0.5, 0.5]]), np.log([[0.9, 0.1]])
    variation, divergence = probability_distances(reference, candidate)
    assert variation == pytest.approx([0.4])
    assert divergence == pytest.approx([0.5 * np.log(0.5 / 0.9) + 0.5 * np.log(0.5 / 0.1)])


def test_labels_for_some_chunks_only_are_refused() -> None:
    accumulator = ClassAccumulator()
    accumulator.add(logits(), logits())
    with pytest.raises(InputError, match="all or none"):
        accumulator.add(logits(), logits(), np.zeros(500, np.int64))


def test_the_numbers_are_measured_beside_the_classes_as_alone() -> None:
    candidate = logits() + 1e-3
    candidate[3, 2] = np.nan
    found = measure_classes(logits(), candidate)
    assert found.model_copy(update={"classes": None}) == measure(logits(), candidate)
    assert found.classes is not None
    assert found.classes.agreement == pytest.approx(499 / 500)


def test_a_wrong_sign_turns_an_image_round() -> None:
    candidate = logits()
    candidate[7] *= -1
    found = classes_of(logits(), candidate)
    assert [flip.image for flip in found.flips] == [7]
    assert found.max_total_variation > 0.5


def test_nothing_but_nan_agrees_with_nothing() -> None:
    assert classes_of(logits(), np.full_like(logits(), np.nan)).agreement == 0


def test_the_margin_of_a_single_class_is_zero() -> None:
    assert margin(np.array([2.0])) == 0
