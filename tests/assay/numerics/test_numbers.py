"""The measures of an audit: known answers, chunks compared with the whole, and precisions recognised by their
errors.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from assay.errors import InputError
from assay.numerics.numbers import (
    MOST_BITS,
    Accumulator,
    Measured,
    cosines,
    delivered_precision,
    measure,
    stored_bits,
    ulps,
)

Float64 = NDArray[np.float64]


def rounded(values: Float64, bits: int) -> Float64:
    """Rounded to this many bits of significand, to nearest."""
    significand, exponent = np.frexp(values)
    result: Float64 = np.ldexp(np.round(np.ldexp(significand, bits)), exponent - bits)
    return result


def logits(rows: int = 500, classes: int = 8, scale: float = 5.0, seed: int = 0) -> Float64:
    return np.random.default_rng(seed).normal(0, scale, (rows, classes))


def assert_same(one: Measured, other: Measured) -> None:
    """Equal except for the order in which sums were rounded."""
    left, right = one.model_dump(), other.model_dump()
    assert left.keys() == right.keys()
    for name, value in left.items():
        if isinstance(value, float):
            assert value == pytest.approx(right[name], rel=1e-9, abs=1e-300), name
        else:
            assert value == right[name], name


@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 60),
    st.integers(1, 9),
    st.lists(st.integers(0, 60), max_size=6),
    st.booleans(),
)
def test_chunks_give_what_the_whole_gives(seed: int, rows: int, classes: int, cuts: list[int], broken: bool) -> None:
    random = np.random.default_rng(seed)
    reference = random.normal(0, 3, (rows, classes))
    candidate = reference + random.normal(0, 1, reference.shape) * 10.0 ** random.integers(-9, 1)
    if broken:
        candidate[random.integers(rows), random.integers(classes)] = random.choice([np.nan, np.inf])
    accumulator = Accumulator()
    for rows_of_chunk in np.split(np.arange(rows), sorted(min(cut, rows) for cut in cuts)):
        accumulator.add(reference[rows_of_chunk], candidate[rows_of_chunk])
    assert_same(accumulator.result(), measure(reference, candidate))


@pytest.mark.parametrize("bits", [5, 8, 11, 16, 20, 24, 30])
def test_effective_bits_are_those_that_were_rounded_to(bits: int) -> None:
    assert measure(logits(5000), rounded(logits(5000), bits)).effective_bits == pytest.approx(bits, abs=0.3)


def test_a_float32_result_has_24_bits_and_an_exact_one_all() -> None:
    assert measure(logits(), logits().astype(np.float32)).effective_bits == pytest.approx(24, abs=0.3)
    assert measure(logits(), logits()).effective_bits == MOST_BITS


@pytest.mark.parametrize(("bits", "name"), [(24, "fp32"), (11, "TF32 or fp16"), (8, "bf16"), (3, "less than bf16")])
def test_a_network_is_named_by_what_it_computed_in(bits: int, name: str) -> None:
    """Inputs and weights are rounded and sums are exact, as in tensor cores; the native run sums in fp32."""
    random = np.random.default_rng(1)
    images, layers = random.normal(size=(64, 96)), [random.normal(size=(96, 96)) / 8 for _ in range(4)]

    def network(values: NDArray[np.floating], bits: int, dtype: type) -> NDArray[np.floating]:
        for layer in layers:
            values = rounded(np.asarray(values, np.float64), bits).astype(dtype) @ rounded(layer, bits).astype(dtype)
        return values

    # The weights are what fp32 files hold: rounding them is not an error of the run.
    layers = [layer.astype(np.float32).astype(np.float64) for layer in layers]
    images = images.astype(np.float32).astype(np.float64)
    exact = network(images, 53, np.float64)
    native = measure(np.asarray(exact, np.float64), network(images, 24, np.float32))
    found = measure(np.asarray(exact, np.float64), network(images, bits, np.float32))
    assert delivered_precision(native.effective_bits, native.effective_bits) == "fp32"
    assert delivered_precision(found.effective_bits, native.effective_bits) == name


def test_a_result_that_was_rounded_at_the_end_is_named_too() -> None:
    """Errors that look like fp16's, in values that are stored in eight bits."""
    assert delivered_precision(10.0, native_bits=21.0) == "TF32 or fp16"
    assert delivered_precision(10.0, native_bits=21.0, stored=8) == "bf16"


def test_a_right_result_of_few_bits_is_not_reduced_precision() -> None:
    whole = np.arange(1.0, 9.0).reshape(2, 4)
    found = measure(whole, whole)
    assert delivered_precision(found.effective_bits, 24.0, found.stored_bits) == "fp32"


@given(st.integers(1, 53), st.integers(0, 2**32 - 1))
def test_stored_bits_are_those_that_rounding_leaves(bits: int, seed: int) -> None:
    found = stored_bits(rounded(logits(200, seed=seed), bits))
    assert found == bits


def test_zeros_need_no_bits() -> None:
    assert stored_bits(np.zeros((2, 2))) == 0


def test_one_ulp_is_one_ulp() -> None:
    reference = logits()
    candidate = reference.copy()
    place = np.unravel_index(np.abs(reference).argmax(), reference.shape)
    candidate[place] += np.spacing(np.float32(abs(reference[place])))
    found = measure(reference, candidate)
    assert found.max_ulps == pytest.approx(1)


def test_a_wrong_sign_turns_an_image_round() -> None:
    candidate = logits()
    candidate[7] *= -1
    found = measure(logits(), candidate)
    assert found.min_cosine == pytest.approx(-1)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_counted_and_hide_nothing_else(value: float) -> None:
    candidate = logits() + 1e-3
    candidate[3, 2] = value
    found = measure(logits(), candidate)
    assert (found.not_finite, found.images) == (1, 500)
    assert found.max_absolute == pytest.approx(1e-3)


def test_nothing_but_nan_has_no_bits() -> None:
    found = measure(logits(), np.full_like(logits(), np.nan))
    assert (found.effective_bits, found.not_finite) == (0.0, 4000)


def test_cosines_of_zeros() -> None:
    zero, one = np.zeros((1, 3)), np.ones((1, 3))
    assert (cosines(zero, zero), cosines(one, zero), cosines(one, one)) == ([1], [0], pytest.approx([1]))


def test_ulps_without_meaning_are_zero() -> None:
    assert ulps(1.0, 0.0) == 0


@pytest.mark.parametrize(
    ("reference", "candidate"),
    [
        (logits(), logits()[:, :7]),
        (logits(), logits().astype(np.int64)),
        (logits().astype(np.float32), logits()),
        (np.full((2, 2), np.nan), np.zeros((2, 2))),
        (np.zeros(4), np.zeros(4)),
    ],
)
def test_what_cannot_be_compared_is_refused(reference: Float64, candidate: Float64) -> None:
    with pytest.raises(InputError, match="compared with"):
        measure(reference, candidate)
