"""Every output of a user's model is judged by itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from assay.numerics.agreement import NOT_COMPARED, derive_tolerance
from assay.numerics.ties.choices import Alternatives, Decider
from assay.numerics.ties.deciding import Unfollowed
from assay.numerics.ties.lists import Entries
from assay.numerics.values import padding_of
from assay.train.brought.agreement import Judge
from assay.train.brought.model import Location, Tensor, UserModel
from tests.train.brought.test_model import HERE

BOXES, SCORES = Tensor(name="boxes", dtype="float32", shape=(4,)), Tensor(name="scores", dtype="float32", shape=(3,))
RECORDS = 16


def model(*outputs: Tensor) -> UserModel:
    location = Location(path=HERE, form="function", function="build")
    return UserModel(location=location, kind="torch", inputs=(BOXES,), outputs=outputs)


def judge() -> tuple[Judge, np.ndarray]:
    """Boxes in the hundreds, scores in the hundredths, and a correct fp32 run of both."""
    random = np.random.default_rng(0)
    exact = np.concatenate([random.normal(0, 500, (RECORDS, 4)), random.normal(0, 0.01, (RECORDS, 3))], axis=1)
    native = exact.astype(np.float32)
    return Judge(model(BOXES, SCORES), exact, {"torch": native}), native


def test_a_correct_run_passes_on_any_records() -> None:
    one, native = judge()
    places = np.array([3, 0, 9])
    found = one.compare("ort.cpu", native[places], places)
    assert found.passed
    assert found.images == 3


def test_a_small_output_is_not_excused_by_a_large_one() -> None:
    one, native = judge()
    wrong = native.copy()
    wrong[5, 6] += 0.0005  # far less than the rounding of the boxes, and 5 % of a score
    found = one.compare("ort.cpu", wrong, np.arange(RECORDS))
    assert not found.passed
    assert found.reason.startswith("output 'scores': differs by 0.0005")


def test_records_without_a_reference_are_left_out_and_none_is_a_failure() -> None:
    one, native = judge()
    far = np.array([RECORDS, RECORDS + 1])
    found = one.compare("ort.cpu", native[:2], far)
    assert not found.passed
    assert one.compare("ort.cpu", native[:2], np.array([0, RECORDS])).images == 1


def test_classes_change_only_where_there_are_classes() -> None:
    images = Tensor(name="images", dtype="float32", shape=(2, 2))
    exact = np.array([[1.0, 2.0, 3.0, 4.0]])
    other = exact[:, ::-1]
    for output, flips in ((images, 0), (BOXES, 1)):
        one = Judge(model(output), exact, {"torch": exact.astype(np.float32)})
        assert one.compare("x", other, np.arange(1)).largest_moved == flips


def test_an_output_of_zeros_must_be_zeros() -> None:
    exact = np.zeros((4, 4))
    one = Judge(model(BOXES), exact, {"torch": exact.astype(np.float32)})
    same = one.compare("x", exact, np.arange(4))
    assert (same.passed, same.images, same.max_absolute, same.max_relative, same.tolerance) == (True, 4, 0, 0, 0)
    found = one.compare("x", exact + 1e-30, np.arange(4))
    assert not found.passed
    assert found.reason == "should be zero but reaches 1e-30"


@pytest.mark.parametrize(("error", "passed"), [(2e-4, True), (3e-4, False)])
def test_without_float64_the_next_coarser_arithmetic_is_the_limit(error: float, passed: bool) -> None:
    native = np.random.default_rng(0).normal(size=(RECORDS, 4)).astype(np.float32)
    scale = float(np.abs(native).max())
    one = Judge(model(BOXES), native.astype(np.float64), {"tf": native}, exact=False)
    found = one.compare("tf.xla", native + np.float32(error * scale), np.arange(RECORDS))
    assert found.passed == passed
    assert "no float64" in found.derivation


@pytest.mark.parametrize(("error", "passed"), [(1e-7, True), (1e-2, False), (np.nan, False)])
def test_a_record_of_zeros_is_judged_on_the_scale_of_the_other_records(error: float, passed: bool) -> None:
    native = np.random.default_rng(0).normal(size=(RECORDS, 4)).astype(np.float32)
    native[0] = 0
    one = Judge(model(BOXES), native.astype(np.float64), {"torch": native})
    found = one.compare("ort.cpu", native[:1] + np.float32(error), np.array([0]))
    assert found.passed == passed


def test_floats_that_scores_decide_are_compared_with_the_nearest_that_a_correct_run_may_give() -> None:
    """Steps of a third; the second number of each record may be either of two."""
    third = float(np.float32(1 / 3))
    exact = third * np.arange(4 * RECORDS, dtype=np.float64).reshape(RECORDS, 4)
    may_be = np.stack([exact, exact], axis=-1)
    may_be[:, 1, 1] += third
    native = exact.astype(np.float32)
    native[3, 1] += np.float32(third)  # the model itself ties
    plain = Judge(model(BOXES), exact, {"torch": native})
    assert "did not compute this model" in plain.compare("it", native, np.arange(RECORDS)).reason
    one = replace(plain, deciders={"boxes": Alternatives(may_be, may_be)})
    other = exact.astype(np.float32)
    other[5, 1] += np.float32(third)
    assert one.compare("it", other, np.arange(RECORDS)).passed
    assert one.compare("it", other[5:6], np.array([5])).passed
    for place in ((5, 2), (0, 1)):
        wrong = other.copy()
        wrong[place] += np.float32(0.01 if place == (0, 1) else third)
        assert not one.compare("it", wrong, np.arange(RECORDS)).passed


def test_a_list_of_places_whose_length_scores_decide_passes_as_any_that_a_correct_run_may_give() -> None:
    """Each record has two places of four; the third may be in the list as well."""
    output = Tensor(name="places", dtype="int64", shape=(1, 4), varying=(1,))
    empty = padding_of("int64")
    right = np.full((RECORDS, 4), empty)
    right[:, :2] = [0, 1]
    always = np.array([True, True, False, False])
    may_be = np.stack([np.tile(one, (RECORDS, 1)) for one in (always, always | [False, False, True, False]) * 2])
    one = Judge(model(output), right, {"torch": right}, deciders={"places": Entries(may_be, across=True)})
    other = right.copy()
    other[:, 2] = 2
    assert one.compare("it", other, np.arange(RECORDS)).passed
    other[:, 2] = 3
    assert "its size differs" in one.compare("it", other, np.arange(RECORDS)).reason


@pytest.mark.parametrize("precision", ["", "int8"])
def test_a_list_of_places_of_a_fixed_size_may_be_another_where_scores_tie(precision: str) -> None:
    """The first of three places is always in the list of two, and either of the others may be."""
    right = np.tile([0, 1], (RECORDS, 1))
    may_be = np.stack([np.tile(one, (RECORDS, 1)) for one in ([True, False, False], [True, True, True]) * 2])
    output = Tensor(name="places", dtype="int64", shape=(1, 2))
    one = Judge(model(output), right, {"torch": right}, deciders={"places": Entries(may_be, across=True)})
    assert one.compare("it", right + np.array([0, 1]), np.arange(RECORDS), precision).passed
    assert "numbers differ" in one.compare("it", right + 1, np.arange(RECORDS), precision).reason


def test_whole_numbers_that_cannot_be_followed_are_said_and_come_behind_what_is_wrong_beyond_doubt() -> None:
    right = np.concatenate([ids(), np.random.default_rng(0).normal(size=(RECORDS, 3))], axis=1)
    one = Judge(model(IDS, SCORES), right, {"tf": right}, deciders={"ids": Unfollowed("Loop")})
    other = right.copy()
    other[5, 1] += 1
    found = one.compare("ort.cpu", other, np.arange(RECORDS))
    assert not found.passed
    assert found.reason.endswith("scores decide them through Loop, which is not followed, so they may tie")
    assert found.ground == "open"
    other[5, 5] += 1e-3
    assert "scores" in one.compare("ort.cpu", other, np.arange(RECORDS)).reason
    assert one.compare("ort.cpu", other, np.arange(RECORDS)).ground == ""


def test_the_record_has_the_ground_of_a_refusal_apart_from_its_words() -> None:
    one, native = judge()
    wrong = native.copy()
    wrong[:, :4] *= 1.5
    assert one.compare("it", wrong, np.arange(RECORDS), "int8").ground == "not followed"
    assert one.compare("it", wrong, np.arange(RECORDS)).ground == ""
    assert one.compare("it", native, np.arange(RECORDS), "int8").ground == ""


IDS = Tensor(name="ids", dtype="int64", shape=(4,))
LARGE = 900_000


def ids() -> np.ndarray:
    return np.random.default_rng(3).integers(LARGE, 2 * LARGE, (RECORDS, 4))


def test_whole_numbers_have_to_be_equal_however_large_and_are_counted() -> None:
    right = ids()
    one = Judge(model(IDS), right, {"tf": right})
    assert one.compare("ort.cpu", right, np.arange(RECORDS)).passed
    wrong = right.copy()
    wrong[:3] -= 1
    found = one.compare("ort.cpu", wrong, np.arange(RECORDS))
    assert not found.passed
    assert found.reason == f"12 of {4 * RECORDS} numbers differ (largest by 1)"
    assert (found.tolerance, found.max_absolute) == (0.0, 1.0)
    assert "equality" in found.derivation


def test_whole_numbers_beside_scores_are_counted_too_and_named() -> None:
    right = np.concatenate([ids(), np.random.default_rng(0).normal(size=(RECORDS, 3))], axis=1)
    one = Judge(model(IDS, SCORES), right, {"tf": right})
    wrong = right.copy()
    wrong[5, 1] += 1
    found = one.compare("ort.cpu", wrong, np.arange(RECORDS))
    assert found.reason == f"output 'ids': 1 of {4 * RECORDS} numbers differ (largest by 1)"


def test_without_float64_whole_numbers_have_no_tolerance_either() -> None:
    right = ids()
    one = Judge(model(IDS), right, {"tf": right}, exact=False)
    assert not one.compare("ort.cpu", right + (np.arange(4) == 2), np.arange(RECORDS)).passed


def test_an_index_may_be_another_where_its_values_tie() -> None:
    label = Tensor(name="label", dtype="int64", shape=())
    values = np.random.default_rng(0).normal(size=(RECORDS, 1, 5, 1))
    values[3, 0, :, 0] = [9, 9, 0, 0, 0]
    right = values.argmax(axis=2).reshape(RECORDS, 1)
    one = Judge(model(label), right, {"torch": right}, deciders={"label": Decider(values, 1e-6)})
    other = right.copy()
    other[3] = 1
    found = one.compare("ort.cpu", other, np.arange(RECORDS))
    assert found.passed
    assert "1 more differ where the values that decide them tie" in found.derivation
    assert not one.compare("ort.cpu", (right[[4]] + 1) % 5, np.array([4])).passed
    other[4] = (right[4] + 1) % 5
    found = one.compare("ort.cpu", other, np.arange(RECORDS))
    assert found.reason.startswith(f"1 of {RECORDS} numbers differ")


@pytest.mark.parametrize("special", [-np.inf, np.inf, np.nan])
@pytest.mark.parametrize("exact", [True, False])
def test_infinity_and_nan_where_the_reference_has_them_agree(special: float, exact: bool) -> None:
    values = np.random.default_rng(0).normal(size=(RECORDS, 4))
    values[::2, 1] = special
    native = values.astype(np.float32)
    one = Judge(model(BOXES), values, {"torch": native}, exact=exact)
    assert one.compare("ort.cpu", native, np.arange(RECORDS)).passed
    assert one.compare("ort.cpu", native[:1], np.array([0])).passed
    for place, value in (((1, 1), special), ((0, 1), 0.0), ((0, 1), -special if special == special else np.inf)):  # noqa: PLR0124
        wrong = native.copy()
        wrong[place] = value
        found = one.compare("ort.cpu", wrong, np.arange(RECORDS))
        assert not found.passed
        assert "finite" in found.reason or "infinity" in found.reason
    off = native.copy()
    off[1, 2] += 0.1
    assert "differs by 0.1" in one.compare("ort.cpu", off, np.arange(RECORDS)).reason


def test_a_mask_of_zero_and_minus_infinity_agrees_with_itself() -> None:
    mask = np.where(np.arange(4) > 1, -np.inf, 0.0) * np.ones((RECORDS, 1))
    one = Judge(model(BOXES), mask, {"torch": mask.astype(np.float32)})
    assert one.compare("ort.cpu", mask, np.arange(RECORDS)).passed
    assert not one.compare("ort.cpu", np.zeros_like(mask), np.arange(RECORDS)).passed


def test_a_native_run_that_loses_an_infinity_measures_nothing() -> None:
    values = np.random.default_rng(0).normal(size=(RECORDS, 4))
    values[0, 0] = -np.inf
    one = Judge(model(BOXES), values, {"torch": np.nan_to_num(values, neginf=-9).astype(np.float32)})
    assert "cannot serve as a measure" in one.compare("ort.cpu", values, np.arange(RECORDS)).reason


def test_a_small_column_is_not_excused_by_a_large_one() -> None:
    exact = np.random.default_rng(0).normal(size=(RECORDS, 4)) * np.array([1e6, 1e6, 1.0, 1.0])
    native = exact.astype(np.float32)
    one = Judge(model(BOXES), exact, {"torch": native})
    assert one.compare("ort.cpu", native, np.arange(RECORDS)).passed
    wrong = native.copy()
    wrong[2, 3] += 0.1
    found = one.compare("ort.cpu", wrong, np.arange(RECORDS))
    assert not found.passed
    assert found.reason.startswith("column 3 of 4 differs by 0.1")


def test_an_output_that_is_nan_throughout_is_not_evidence() -> None:
    broken = np.full((RECORDS, 4), np.nan)
    found = Judge(model(BOXES), broken, {"torch": broken}).compare("ort.cpu", broken, np.arange(RECORDS))
    assert not found.passed
    assert "NaN throughout" in found.reason


def tolerances(one: Judge) -> list[float]:
    """The comparisons of boxes and scores."""
    return [
        derive_tolerance(one.reference[:, part], {"torch": one.natives["torch"][:, part]}).value
        for _, part in one.model.parts
    ]


@pytest.mark.parametrize(("boxes", "scores", "worst"), [(0.4, 0.6, 1), (0.6, 0.4, 0), (0.4, 1.1, 1), (1.1, 0.4, 0)])
def test_the_worst_output_is_named(boxes: float, scores: float, worst: int) -> None:
    """The share of its own tolerance by which it is off; a failing output comes before all that pass."""
    one, _ = judge()
    allowed = tolerances(one)
    off = one.reference.copy()
    off[2, 1] += boxes * allowed[0]
    off[2, 5] += scores * allowed[1]
    found = one.compare("ort.cpu", off, np.arange(RECORDS))
    assert found.tolerance == allowed[worst]
    assert found.passed == (max(boxes, scores) < 1)


def test_one_output_needs_no_name_and_one_of_several_has_it() -> None:
    one, native = judge()
    alone = Judge(model(SCORES), one.reference[:, 4:], {"torch": native[:, 4:]})
    off = one.reference.copy()
    off[0, 4] += 1
    assert alone.compare("x", off[:, 4:], np.arange(RECORDS)).reason.startswith("differs by 1")
    assert one.compare("x", off, np.arange(RECORDS)).reason.startswith("output 'scores': differs by 1")


def test_a_record_of_zeros_may_be_off_by_exactly_the_tolerance() -> None:
    exact = np.full((RECORDS, 4), 4.0)
    exact[0] = 0
    one = Judge(model(BOXES), exact, {"torch": exact.astype(np.float32)})
    allowed = 16 * 2.0**-21  # sixteen ulps at 4
    found = one.compare("x", exact[:1] + allowed, np.array([0]))
    assert (found.passed, found.reason, found.tolerance) == (True, "", allowed)
    assert (found.max_absolute, found.max_relative) == (allowed, allowed / 4)
    beyond = one.compare("x", exact[:1] - 1.5 * allowed, np.array([0]))
    assert (beyond.passed, beyond.reason) == (False, "should be zero but reaches 1.14e-05")
    broken = one.compare("x", np.full((1, 4), np.nan), np.array([0]))
    assert (broken.max_absolute, broken.max_relative, broken.passed) == (NOT_COMPARED, NOT_COMPARED, False)


def test_the_error_of_whole_numbers_is_relative_to_the_largest_one() -> None:
    right = np.array([[10, -40, 0, 5]])
    one = Judge(model(IDS), right, {"tf": right})
    found = one.compare("x", right + np.array([[0, 0, 8, 0]]), np.arange(1))
    assert (found.max_absolute, found.max_relative, found.images) == (8.0, 0.2, 1)
    none = one.compare("x", right + np.array([[0, np.nan, 0, 0]]), np.arange(1))
    assert (none.max_absolute, none.max_relative) == (NOT_COMPARED, NOT_COMPARED)
    zeros = Judge(model(IDS), right * 0, {"tf": right * 0})
    assert zeros.compare("x", right, np.arange(1)).max_relative == 40
    assert "shape (1, 3), expected (1, 4)" in one.compare("x", right[:, :3], np.arange(1)).reason


def test_records_beyond_the_reference_are_those_from_its_length_on() -> None:
    one, native = judge()
    last = np.array([RECORDS - 1, RECORDS])
    assert one.compare("x", native[[RECORDS - 1, 0]], last).images == 1
    nothing = one.compare("x", native[:1], np.array([RECORDS]))
    assert (nothing.images, nothing.passed, nothing.tolerance) == (0, False, 0.0)
    assert nothing.reason


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("precision", ["", "int8"])
def test_an_output_that_is_infinite_or_nan_throughout_is_not_judged(value: float, precision: str) -> None:
    exact = np.full((RECORDS, 7), value)
    exact[:, 4:] = np.arange(3 * RECORDS).reshape(RECORDS, 3)
    one = Judge(model(BOXES, SCORES), exact, {"torch": exact.astype(np.float32)})
    found = one.compare("ort.cpu", exact.astype(np.float32), np.arange(RECORDS), precision)
    assert (found.passed, found.max_absolute) == (False, NOT_COMPARED)
    assert found.reason.startswith("output 'boxes': the reference is infinite or NaN throughout")
    assert found.ground == "open"


@pytest.mark.parametrize("filling", [-1e9, -1e4, float(np.finfo(np.float32).min)])
@pytest.mark.parametrize("precision", ["", "int8"])
def test_masked_scores_do_not_hide_the_others(filling: float, precision: str) -> None:
    random = np.random.default_rng(0)
    exact = np.where(random.random((RECORDS, 4)) < 0.4, filling, random.normal(size=(RECORDS, 4)))
    native = exact.astype(np.float32)
    one = Judge(model(BOXES), exact, {"torch": native})
    everywhere = np.arange(RECORDS)
    assert one.compare("it", native, everywhere, precision).passed
    assert one.compare("it", native[3:4], np.array([3]), precision).passed
    for wrong in (exact * np.where(exact == filling, 1, 3), np.where(exact == filling, 0, exact)):
        found = one.compare("it", wrong.astype(np.float32), everywhere, precision)
        assert not found.passed
