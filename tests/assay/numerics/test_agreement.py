"""Outputs agree if they differ only by rounding, and fail for every other reason."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from assay.numerics.agreement import (
    CEILING,
    FACTOR,
    FLOOR_ULPS,
    NOT_COMPARED,
    Tolerance,
    compare,
    derive_tolerance,
    tolerance_of_errors,
)
from assay.records.results import Agreement

Float64 = NDArray[np.float64]

shapes = st.tuples(st.integers(1, 40), st.integers(2, 12))


@st.composite
def logits(draw: st.DrawFn) -> Float64:
    """Finite float64 logits of some scale, never all zero."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scale = 10.0 ** draw(st.integers(-3, 3))
    return random.normal(0, scale, draw(shapes)) + scale * 1e-3


def tolerance_of(reference: Float64) -> Tolerance:
    return derive_tolerance(reference, {"torch": reference.astype(np.float32)})


@given(logits())
def test_rounding_to_fp32_agrees(reference: Float64) -> None:
    agreement = compare("rounded", reference.astype(np.float32), reference, tolerance_of(reference))
    assert agreement.passed
    assert agreement.reason == ""
    assert agreement.images == len(reference)


@given(logits(), st.floats(0.0, 0.99))
def test_a_difference_within_the_tolerance_passes(reference: Float64, share: float) -> None:
    tolerance = tolerance_of(reference)
    agreement = compare("near", reference + share * tolerance.value, reference, tolerance)
    assert agreement.passed
    assert agreement.max_absolute <= tolerance.value


@given(logits(), st.floats(1.01, 1e6), st.data())
def test_one_logit_beyond_the_tolerance_fails(reference: Float64, times: float, data: st.DataObject) -> None:
    tolerance = tolerance_of(reference)
    wrong = reference.copy()
    wrong.flat[data.draw(st.integers(0, reference.size - 1))] += times * tolerance.value
    agreement = compare("far", wrong, reference, tolerance)
    assert not agreement.passed
    assert "tolerated" in agreement.reason


@given(logits(), st.sampled_from([np.nan, np.inf, -np.inf]), st.data())
def test_a_value_that_is_not_finite_fails_on_either_side(reference: Float64, value: float, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, reference.size - 1))
    broken = reference.copy()
    broken.flat[place] = value
    tolerance = tolerance_of(reference)
    assert not compare("candidate", broken, reference, tolerance).passed
    assert not compare("reference", reference, broken, tolerance).passed
    assert not compare("both", broken, broken, tolerance).passed
    assert derive_tolerance(broken, {"torch": reference}).problem
    assert derive_tolerance(reference, {"torch": broken}).problem


@given(logits(), shapes)
def test_another_shape_fails(reference: Float64, shape: tuple[int, int]) -> None:
    candidate = np.ones(shape, np.float32)
    if shape != reference.shape:
        agreement = compare("shape", candidate, reference, tolerance_of(reference))
        assert not agreement.passed
        assert "shape" in agreement.reason


@given(logits())
def test_the_tolerance_is_between_floor_and_ceiling(reference: Float64) -> None:
    scale = np.abs(reference).max()
    for error in (0.0, 1e-6, CEILING * 0.99):
        tolerance = derive_tolerance(reference, {"torch": reference + error * scale})
        assert tolerance.value >= FLOOR_ULPS * np.spacing(np.float32(scale))
        assert tolerance.value <= max(CEILING * scale, FLOOR_ULPS * np.spacing(np.float32(scale)))


@given(logits())
@settings(max_examples=25)
def test_lower_precision_is_refused(reference: Float64) -> None:
    """fp16 is accepted neither as a candidate nor as the native run that sets the tolerance."""
    scale = np.abs(reference).max()
    coarse = reference + 2.0**-11 * scale
    assert not compare("fp16", coarse, reference, tolerance_of(reference)).passed
    problem = derive_tolerance(reference, {"torch": coarse}).problem
    assert "did not compute this model in fp32" in problem
    assert not compare("any", reference, reference, derive_tolerance(reference, {"torch": coarse})).passed


def test_the_worst_native_run_sets_the_tolerance_and_is_named() -> None:
    reference = np.array([[1.0, -2.0], [4.0, 0.5]])
    tolerance = derive_tolerance(reference, {"torch": reference + 1e-6, "jax": reference + 3e-6})
    assert tolerance.value == pytest.approx(FACTOR * 3e-6)
    assert "jax" in tolerance.derivation
    assert "2 inputs" in tolerance.derivation


def test_largest_moved_are_counted() -> None:
    reference = np.array([[1.0, 1.0 + 1e-9], [3.0, 0.0]])
    candidate = np.array([[1.0, 1.0 - 1e-9], [3.0, 0.0]])
    agreement = compare("tie", candidate, reference, tolerance_of(reference))
    assert agreement.passed
    assert agreement.largest_moved == 1


@pytest.mark.parametrize(
    ("candidate", "reference", "words"),
    [
        (np.zeros((0, 8)), np.ones((2, 8)), "no outputs"),
        (np.zeros((0, 8)), np.zeros((0, 8)), "no rows of outputs to compare"),
        (np.float64(1.0), np.float64(1.0), "no rows of outputs to compare"),
        (np.ones((2, 8), np.int64), np.ones((2, 8)), "floating point"),
        (np.ones((2, 8)), np.ones((2, 8), np.float32), "not float64"),
        (np.zeros((2, 8)), np.zeros((2, 8)), "zero everywhere"),
    ],
)
def test_comparing_nothing_is_a_failure(candidate: Float64, reference: Float64, words: str) -> None:
    agreement = compare("nothing", np.asarray(candidate), np.asarray(reference), Tolerance(1.0, "given"))
    assert not agreement.passed
    assert words in agreement.reason
    assert agreement.max_absolute == NOT_COMPARED
    assert Agreement.model_validate_json(agreement.model_dump_json()) == agreement


def test_no_native_run_is_a_failure() -> None:
    reference = np.ones((2, 8))
    assert not compare("alone", reference, reference, derive_tolerance(reference, {})).passed


@given(logits(), st.floats(1e-12, 1e-3))
def test_measured_errors_give_the_tolerance_that_outputs_give(reference: Float64, share: float) -> None:
    natives = {"torch": reference.astype(np.float32), "jax": reference * (1 + share)}
    errors = {name: float(np.abs(native - reference).max()) for name, native in natives.items()}
    scale = float(np.abs(reference).max())
    assert tolerance_of_errors(scale, errors, len(reference)) == derive_tolerance(reference, natives)


def test_noise_between_runs_widens_the_tolerance_and_is_named() -> None:
    quiet, noisy = (tolerance_of_errors(10.0, {"torch": 1e-5}, 64, noise) for noise in (0.0, 2e-5))
    assert noisy.value == pytest.approx(quiet.value + FACTOR * 2e-5)
    assert "between two runs" in noisy.derivation
    assert "between two runs" not in quiet.derivation


@pytest.mark.parametrize(
    ("scale", "errors", "words"),
    [
        (1.0, {}, "no native output"),
        (0.0, {"torch": 0.0}, "zero everywhere"),
        (1.0, {"torch": 2 * CEILING}, "did not compute this model in fp32"),
        (1.0, {"torch": float("nan")}, "did not compute this model in fp32"),
    ],
)
def test_errors_that_measure_nothing_give_no_tolerance(scale: float, errors: dict[str, float], words: str) -> None:
    found = tolerance_of_errors(scale, errors, 64)
    assert found.value == 0
    assert words in found.problem


def test_a_difference_of_exactly_the_tolerance_passes() -> None:
    reference = np.array([[1.0, -2.0], [4.0, 0.5]])
    found = compare("edge", reference + np.array([[0.25, 0.5], [0.0, 0.125]]), reference, Tolerance(0.5, "given"))
    assert (found.passed, found.max_absolute, found.max_relative) == (True, 0.5, 0.125)
    assert not compare("beyond", reference + 0.5000001, reference, Tolerance(0.5, "given")).passed


@pytest.mark.parametrize(
    ("error", "tolerated"),
    [
        (0.0, FLOOR_ULPS * 2.0**-21),
        (1e-5, 16e-5),
        (1e-4, 4 * 2.0**-12),
        (4 * 2.0**-12, 4 * 2.0**-12),
    ],
)
def test_the_tolerance_is_sixteen_errors_between_sixteen_ulps_and_half_of_the_next_format(
    error: float, tolerated: float
) -> None:
    """Outputs of up to 4 have an ulp of 2^-21. An error of exactly the limit still counts as fp32."""
    assert tolerance_of_errors(4.0, {"torch": error}, 64).value == pytest.approx(tolerated)


def test_a_native_run_at_the_ceiling_still_counts_and_one_beyond_does_not() -> None:
    reference = np.array([[1.0, -4.0]])
    assert derive_tolerance(reference, {"torch": reference + 4 * CEILING}).problem == ""
    assert derive_tolerance(reference, {"torch": reference + 4.001 * CEILING}).problem


@pytest.mark.parametrize(
    ("candidate", "reference", "words"),
    [
        (np.full((2, 3), np.nan), np.eye(2, 3), "6 of 6 outputs are not finite"),
        (np.ones((2, 4)), np.eye(2, 3), "outputs of shape (2, 4)"),
        (np.ones((2, 3)), np.zeros((2, 3)), "zero everywhere"),
        (np.ones((2, 3)), np.ones((2, 3), np.float32), "not float64"),
    ],
)
def test_reduced_precision_excuses_nothing_that_cannot_be_compared(
    candidate: Float64, reference: Float64, words: str
) -> None:
    found = compare("int8", candidate, reference, Tolerance(1.0, "given"), "int8")
    assert not found.passed
    assert words in found.reason


def test_a_derivation_tells_every_number_that_it_is_made_of() -> None:
    found = tolerance_of_errors(4.0, {"torch": 1e-5, "jax": 3e-5}, 64, 2e-6).derivation
    assert found == (
        "16 x 3e-05, the largest error of jax in fp32 against float64 on 64 inputs with 2e-06 between two runs of one "
        "program; at least 16 ulps (7.6e-06) and at most 2^-12 of the largest output (0.00098)"
    )
