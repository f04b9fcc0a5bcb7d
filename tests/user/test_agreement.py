"""Every output of a user's model is judged by itself."""

from __future__ import annotations

import numpy as np
import pytest

from assay.user.agreement import Judge
from assay.user.model import Location, Tensor, UserModel
from tests.user.test_model import HERE

BOXES, SCORES = Tensor(name="boxes", dtype="float32", shape=(4,)), Tensor(name="scores", dtype="float32", shape=(3,))
RECORDS = 16


def model(*outputs: Tensor) -> UserModel:
    location = Location(path=HERE, form="function", function="build")
    return UserModel(location=location, kind="torch", inputs=(BOXES,), outputs=outputs)


def judge() -> tuple[Judge, np.ndarray]:
    """Boxes in hundreds, scores in hundredths, and a correct fp32 run of both."""
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
        assert one.compare("x", other, np.arange(1)).top1_flips == flips


def test_an_output_of_zeros_must_be_zeros() -> None:
    exact = np.zeros((4, 4))
    one = Judge(model(BOXES), exact, {"torch": exact.astype(np.float32)})
    assert one.compare("x", exact, np.arange(4)).passed
    found = one.compare("x", exact + 1e-30, np.arange(4))
    assert not found.passed
    assert "zero everywhere" in found.reason


@pytest.mark.parametrize(("error", "passed"), [(2e-4, True), (3e-4, False)])
def test_without_float64_the_next_coarser_arithmetic_is_the_limit(error: float, passed: bool) -> None:
    native = np.random.default_rng(0).normal(size=(RECORDS, 4)).astype(np.float32)
    scale = float(np.abs(native).max())
    one = Judge(model(BOXES), native.astype(np.float64), {"tf": native}, exact=False)
    found = one.compare("user.tf.xla", native + np.float32(error * scale), np.arange(RECORDS))
    assert found.passed == passed
    assert "no float64" in found.derivation


@pytest.mark.parametrize(("error", "passed"), [(1e-7, True), (1e-2, False), (np.nan, False)])
def test_a_record_of_zeros_is_judged_on_the_scale_of_the_other_records(error: float, passed: bool) -> None:
    native = np.random.default_rng(0).normal(size=(RECORDS, 4)).astype(np.float32)
    native[0] = 0
    one = Judge(model(BOXES), native.astype(np.float64), {"torch": native})
    found = one.compare("ort.cpu", native[:1] + np.float32(error), np.array([0]))
    assert found.passed == passed
