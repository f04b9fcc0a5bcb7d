"""The error that rounding may cause, by the precision in which a model computes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.numerics.agreement import CEILING, FLOOR_ULPS, Tolerance, compare
from assay.numerics.rounding import FP32, UNITS, rounding_of, rounding_seen
from assay.train.brought.judged import JudgedOutput

EXACT = np.random.default_rng(0).normal(size=(32, 8))


def rounded(unit: float, seed: int = 1) -> np.ndarray:
    """Random numbers rounded to this many bits."""
    return EXACT * (1 + unit * np.random.default_rng(seed).uniform(-1, 1, EXACT.shape))


def derived(native: np.ndarray, precision: str = "fp32", exact: np.ndarray = EXACT) -> Tolerance:
    one = JudgedOutput("y", exact, {"PyTorch": native}, exact.shape[1:], whole=False, arithmetic=precision)
    return one.tolerance


@pytest.mark.parametrize("precision", ["fp32", "fp64", "tf32", "int8", ""])
def test_all_but_fp16_and_bf16_have_the_rule_of_fp32(precision: str) -> None:
    assert rounding_of(precision) is FP32
    assert FP32.ceiling == CEILING
    assert FP32.repeatable == CEILING


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_values_rounded_to_a_precision_pass_by_it_and_fail_by_fp32(precision: str) -> None:
    unit = UNITS[precision]
    tolerance = derived(rounded(unit), precision)
    assert tolerance.problem == ""
    assert f"in {precision} against float64" in tolerance.derivation
    assert compare("it", rounded(2 * unit, seed=2), EXACT, tolerance).passed
    wrong = EXACT.copy()
    wrong[3] += 0.1 * np.abs(EXACT).max()
    assert not compare("it", wrong, EXACT, tolerance).passed
    assert "did not compute this model in fp32" in derived(rounded(4 * unit)).problem
    far = derived(rounded(40 * unit), precision).problem
    assert f"did not compute this model in {precision}" in far


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_an_output_that_does_not_come_from_the_narrow_part_has_the_rule_of_fp32(precision: str) -> None:
    native = rounded(UNITS["fp32"])
    assert derived(native, precision) == derived(native)


@given(st.sampled_from(["fp32", "fp16", "bf16"]), st.floats(0, 0.05))
def test_a_tolerance_is_no_less_than_the_floor_and_no_more_than_the_ceiling(precision: str, error: float) -> None:
    tolerance = derived(np.full((4, 2), 1 + error), precision, np.ones((4, 2)))
    rule = rounding_seen(precision, abs((1 + error) - 1))
    if abs((1 + error) - 1) > rule.ceiling:
        assert tolerance.problem
        return
    floor = max(rule.floor, FLOOR_ULPS * float(np.spacing(np.float32(1))))
    assert floor <= tolerance.value <= max(rule.ceiling, floor)
    assert tolerance.value >= error
