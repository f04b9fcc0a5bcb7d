"""One output of a user's model: whole numbers are counted, infinities agree, columns have their own scale."""

from __future__ import annotations

import numpy as np
import pytest

from assay.bench.auditing.outputs import audited_tolerance, compared
from assay.bench.auditing.runs import AuditCall
from assay.numerics.ties.choices import Alternatives, Decider
from assay.numerics.ties.deciding import Deciding, Unfollowed
from assay.train.brought.judged import JudgedOutput

ROWS = 16
CALL = AuditCall("y", batch=ROWS, threads=1, images=ROWS)


def output(reference: np.ndarray, decider: Deciding | None = None, *, exact: bool = True) -> JudgedOutput:
    whole = reference.dtype.kind in "biu"
    native = reference if whole else reference.astype(np.float32)
    return JudgedOutput("y", reference, {"it": native}, reference.shape[1:], whole, exact, decider, is_one_call=True)


def test_an_id_that_is_off_by_one_fails_with_its_count_and_no_word_of_rounding() -> None:
    ids = np.random.default_rng(0).integers(10**6, 10**9, (ROWS, 4))
    one = output(ids)
    assert compared(one, "it", CALL, ids).passed
    wrong = ids.copy()
    wrong[0, :3] += 1
    found = compared(one, "it", CALL, wrong)
    assert not found.passed
    assert found.reason == f"3 of {4 * ROWS} numbers differ (largest by 1)"
    assert (found.tolerance, found.delivered) == (0.0, "")
    assert one.tolerance.derivation.startswith("equality")


def test_ids_beyond_float64_differ_by_one() -> None:
    ids = np.full((ROWS, 1), 2**60)
    assert not compared(output(ids), "it", CALL, ids + 1).passed


def test_flags_are_counted() -> None:
    flags = np.arange(ROWS)[:, None] % 3 == 0
    assert compared(output(flags), "it", CALL, ~flags).reason == f"{ROWS} of {ROWS} numbers differ (largest by 1)"


def test_an_index_is_excused_where_its_values_tie_in_one_call() -> None:
    values = np.zeros((1, ROWS, 3, 1))
    values[0, 1:, 0, 0] = 5
    label = values[0, :, :, 0].argmax(axis=1)[:, None]
    other = label.copy()
    other[0] = 2
    one = output(label, Decider(values, 1e-6))
    assert compared(one, "it", CALL, other).passed
    other[1] = 2
    assert compared(one, "it", CALL, other).reason.startswith(f"1 of {ROWS} numbers differ")


def test_a_float_that_scores_decide_is_compared_with_the_nearest_that_a_correct_run_may_give() -> None:
    exact = np.repeat(np.arange(1.0, ROWS + 1), 3).reshape(ROWS, 3)
    may_be = np.stack([exact, exact + np.array([1, 0, 0])], axis=-1)
    decider = Alternatives(may_be.reshape(1, -1, 2), may_be.reshape(1, -1, 2))
    one = output(exact, decider)
    other = exact.astype(np.float32)
    other[2, 0] += 1
    assert not compared(output(exact), "it", CALL, other).passed
    assert compared(one, "it", CALL, other).passed
    other[2, 1] += 1
    assert not compared(one, "it", CALL, other).passed


def test_whole_numbers_that_cannot_be_followed_are_said() -> None:
    ids = np.arange(ROWS)[:, None]
    one = output(ids, Unfollowed("NonZero"))
    assert compared(one, "it", CALL, ids).passed
    for wrong in (ids + 1, ids[:, [0, 0]]):
        assert compared(one, "it", CALL, wrong).ground == "open"


@pytest.mark.parametrize("special", [-np.inf, np.inf, np.nan])
@pytest.mark.parametrize("exact", [True, False])
def test_infinity_and_nan_agree_with_themselves_alone(special: float, exact: bool) -> None:
    values = np.random.default_rng(0).normal(size=(ROWS, 4))
    values[::3, 2] = special
    one = output(values, exact=exact)
    assert one.tolerance.problem == ""
    assert compared(one, "it", CALL, values.astype(np.float32)).passed
    lost = np.nan_to_num(values, posinf=9, neginf=-9).astype(np.float32)
    assert "differ from the infinity or NaN of the reference" in compared(one, "it", CALL, lost).reason
    made = values.astype(np.float32)
    made[1, 1] = special
    assert "not finite where the reference is" in compared(one, "it", CALL, made).reason


def test_an_output_that_is_zero_everywhere_has_to_be_so() -> None:
    one = output(np.zeros((ROWS, 3)))
    assert one.tolerance.problem == ""
    assert compared(one, "it", CALL, np.zeros((ROWS, 3), np.float32)).passed
    assert not compared(one, "it", CALL, np.full((ROWS, 3), 0.5, np.float32)).passed


@pytest.mark.parametrize("value", [-np.inf, np.inf, np.nan])
def test_an_output_without_a_number_agrees_with_nothing_and_its_verdict_is_open(value: float) -> None:
    reference = np.full((ROWS, 3), value)
    found = compared(output(reference), "it", CALL, reference.astype(np.float32))
    assert (found.passed, found.ground) == (False, "open")


@pytest.mark.parametrize("lost", [np.inf, np.nan])
def test_where_fp32_overflows_both_the_overflow_and_the_number_are_right(lost: float) -> None:
    reference = np.random.default_rng(0).normal(size=(ROWS, 4))
    native = reference.astype(np.float32)
    reference[2, 1], native[2, 1] = 5, lost
    one = JudgedOutput("y", reference, {"it": native, "other": native}, (4,), whole=False)
    assert audited_tolerance(one).scale < 10
    assert compared(one, "it", CALL, native).passed
    number, wrong = reference.copy(), native.copy()
    number[3, 0] += 1e-3
    wrong[2, 1] = 6
    assert compared(one, "it", CALL, number).reason.startswith("differs by 0.001")
    assert not compared(one, "it", CALL, wrong).passed
    number[3, 0] -= 1e-3
    assert compared(one, "it", CALL, number).passed
    beyond = reference.copy()
    beyond[2, 1] = 1e40
    far = JudgedOutput("y", beyond, {"it": native}, (4,), whole=False)
    assert compared(far, "it", CALL, native).passed
    assert "differ from the infinity or NaN" in compared(far, "it", CALL, number).reason
    alone = JudgedOutput("y", reference, {"it": native, "other": reference.astype(np.float64)}, (4,), whole=False)
    assert "not finite where the reference is" in compared(alone, "it", CALL, native).reason


def test_a_small_column_is_seen_beside_a_large_one() -> None:
    reference = np.random.default_rng(0).normal(size=(ROWS, 2)) * np.array([1e6, 1.0])
    wrong = reference.astype(np.float32)
    wrong[4, 1] += 0.1
    one = output(reference)
    assert compared(one, "it", CALL, reference.astype(np.float32)).passed
    assert compared(one, "it", CALL, wrong).reason.startswith("column 1 of 2 differs by 0.1")


def test_another_shape_is_a_reason() -> None:
    assert "expected (16, 2)" in compared(output(np.ones((ROWS, 2))), "it", CALL, np.ones((ROWS, 3))).reason
