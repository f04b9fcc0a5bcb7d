"""What can be the float64 reference of a user's model: each output on its own scale, and whole numbers of its own."""

from __future__ import annotations

import numpy as np
import pytest

from assay.errors import InputError
from assay.export.probing.exact import check_reference, computed_exactly, with_own_whole_numbers
from assay.train.brought.model import Tensor, UserModel
from tests.train.brought.test_agreement import model

FAR, NEAR = Tensor(name="far", dtype="float32", shape=(2,)), Tensor(name="near", dtype="float32", shape=(2,))
IDS = Tensor(name="ids", dtype="int64", shape=(2,))
RECORDS = 8


def outputs() -> tuple[UserModel, np.ndarray, np.ndarray]:
    """Two outputs, one of which is a million times the other, in float64 and in fp32."""
    random = np.random.default_rng(0)
    exact = random.normal(size=(RECORDS, 4)) * np.array([1e6, 1e6, 1.0, 1.0])
    return model(FAR, NEAR), exact, exact.astype(np.float32)


def test_what_the_model_itself_gives_in_fp32_may_be_a_reference() -> None:
    one, exact, native = outputs()
    check_reference(one, exact, native)
    check_reference(one, exact, native, by_columns=True)


def test_a_small_output_is_not_excused_by_a_large_one() -> None:
    one, exact, native = outputs()
    exact[3, 2] += 0.1  # far less than the rounding of the large output
    with pytest.raises(InputError, match="Its output 'near' in float64 differs from the model's"):
        check_reference(one, exact, native)


def test_what_comes_from_an_export_has_to_agree_in_every_column() -> None:
    _, exact, native = outputs()
    both = model(Tensor(name="both", dtype="float32", shape=(4,)))
    exact[3, 2] += 0.1
    check_reference(both, exact, native)
    with pytest.raises(InputError, match=r"column 2 of 4 differs by 0\.1"):
        check_reference(both, exact, native, by_columns=True)


@pytest.mark.parametrize("special", [-np.inf, np.nan])
def test_infinity_and_nan_are_allowed_in_a_reference_where_the_model_gives_them(special: float) -> None:
    one, exact, native = outputs()
    exact[2, 3] = native[2, 3] = special
    check_reference(one, exact, native)
    native[2, 3] = 5
    with pytest.raises(InputError, match="differ from the infinity or NaN"):
        check_reference(one, exact, native)


def test_an_empty_output_or_another_shape_is_not_a_reference() -> None:
    one, exact, native = outputs()
    with pytest.raises(InputError, match="zero everywhere"):
        check_reference(one, np.zeros_like(exact), native)
    with pytest.raises(InputError, match="a different shape"):
        check_reference(one, exact[:, :3], native)


def test_whole_numbers_are_the_models_own() -> None:
    one = model(IDS, NEAR)
    exact = np.ones((RECORDS, 4))
    native = np.concatenate([np.full((RECORDS, 2), 7.0), np.ones((RECORDS, 2))], axis=1)
    check_reference(one, exact, native)
    found = with_own_whole_numbers(one, exact, native)
    np.testing.assert_array_equal(found[:, :2], 7)
    np.testing.assert_array_equal(found[:, 2:], exact[:, 2:])


def test_an_fp32_output_beside_whole_numbers_is_not_float64() -> None:
    """The rows of both are float64, whatever the output was computed in."""
    one = model(IDS, NEAR)
    records = np.zeros(RECORDS, [("boxes", "float32", (4,))])

    def narrow(inputs: object) -> dict[str, np.ndarray]:
        del inputs
        return {"ids": np.ones((RECORDS, 2), np.int64), "near": np.ones((RECORDS, 2), np.float32)}

    with pytest.raises(InputError, match="'near' in float32"):
        computed_exactly(one, narrow, records)
