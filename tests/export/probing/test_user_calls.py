"""Whether a row gives the same beside other rows, and why not: the model, a scale per call, or rounding."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from assay.errors import InputError
from assay.export.probing.calls import company_matters, computed
from assay.export.probing.undecided import CalledModel, refusal_of_rows, within_steps
from assay.train.brought.arrays import record_type
from assay.train.brought.loaders.loaded import Array, Compute, LoadedModel
from assay.train.brought.model import UserModel
from tests.user_models import tensor, user_model

WIDTH = 4


def model(width: int = WIDTH, batch: int | None = None, dtype: str = "float32") -> UserModel:
    return user_model((tensor("x", WIDTH),), (tensor("y", width, dtype=dtype),), "torch", batch=batch)


def records(count: int = 32) -> np.ndarray:
    found = np.zeros(count, record_type(model().inputs))
    found["x"] = np.random.default_rng(0).normal(size=(count, WIDTH))
    return found


def of(function: Callable[[Array], Array]) -> Compute:
    return lambda inputs: {"y": function(inputs[0])}


def per_call(x: np.ndarray) -> np.ndarray:
    """Quantised to 8 bits by the largest value of the call."""
    scale = np.abs(x).max() / 127
    return np.round(x / scale) * scale


def matters(function: Callable[[Array], Array], batch: int | None = None) -> str:
    one = model(batch=batch)
    rows = computed(one, of(function), records())
    return company_matters(one, of(function), records(), rows)


def test_rows_by_themselves_do_not_mind_company() -> None:
    assert not matters(np.tanh)
    assert not matters(np.tanh, batch=4)


@pytest.mark.parametrize("batch", [None, 4])
def test_the_order_of_rows_is_tried(batch: int | None) -> None:
    assert "in one order and in another" in matters(lambda x: np.cumsum(x, axis=0), batch)


@pytest.mark.parametrize("function", [per_call, lambda x: x - x.mean(axis=0)])
def test_calls_of_one_row_are_tried(function: Callable[[Array], Array]) -> None:
    assert "between calls of 32 rows and of one" in matters(function)


def test_a_mask_does_not_hide_that_rows_depend_on_each_other() -> None:
    def masked(x: Array) -> Array:
        return np.where(x > 1, np.float32(-1e9), x - x.mean(axis=0))

    assert "between calls of 32 rows and of one" in matters(masked)


def test_a_call_of_one_row_that_fails_is_said() -> None:
    def refusing(x: Array) -> Array:
        if len(x) == 1:
            raise InputError("Expected more than 1 value per channel when training")
        return x

    assert matters(refusing) == "calls of one row fail: Expected more than 1 value per channel when training"


def test_whole_numbers_count_and_a_few_that_nearly_tie_do_not() -> None:
    one = model(width=1, dtype="int64")

    def chosen(inputs: Sequence[Array]) -> dict[str, Array]:
        return {"y": inputs[0].argmax(axis=1)}

    assert not company_matters(one, chosen, records(), computed(one, chosen, records()))

    def ranked(inputs: Sequence[Array]) -> dict[str, Array]:
        return {"y": np.arange(len(inputs[0]))}

    assert "numbers differ" in company_matters(one, ranked, records(), computed(one, ranked, records()))


def refusal(function: Callable[[Array], Array], double: Callable[[Array], Array] | None = None, names: str = "") -> str:
    def make_double() -> Compute:
        if double is None:
            raise InputError("There is no float64")
        return of(lambda x: double(x.astype(np.float64)))

    def loaded() -> LoadedModel:
        called = (of(function), make_double)
        return LoadedModel((), lambda *_: called, per_call=lambda: names).bound([])

    apart = matters(function)
    return str(refusal_of_rows(model(), "rows", CalledModel(loaded(), loaded), records(), apart, drawn=True))


def test_a_scale_for_each_call_is_distinguished_from_dependent_rows() -> None:
    found = refusal(per_call, names="Linear")
    assert "quantises each call with its own scale (Linear)" in found
    assert "--dimension rows=1" in found


def test_a_quantised_output_that_varies_by_few_steps_decides_nothing() -> None:
    quantised = model().model_copy(update={"arithmetic": "int8"})
    steps = np.random.default_rng(0).integers(0, 8, (32, quantised.width))
    assert re.search(r"'y' varies by 2\.\d of the steps.*--inputs", within_steps(quantised, 0.5 + 0.01 * steps))
    assert within_steps(quantised, 0.5 + 0.01 * steps**2) == ""
    assert within_steps(quantised, np.random.default_rng(0).normal(size=(32, quantised.width))) == ""


def test_float64_distinguishes_rounding_from_dependent_rows() -> None:
    def small(x: np.ndarray) -> np.ndarray:
        return x + (0.01 * len(x) if x.dtype == np.float32 else 0)

    found = refusal(small, double=small)
    assert "cannot be judged on these inputs: its fp32 outputs for them are mere rounding" in found
    assert "Give real inputs with --inputs FILE.npz" in found
    assert "depend on each other" not in found


def test_rows_that_depend_do_so_in_float64_too() -> None:
    for double in (None, lambda x: x - x.mean(axis=0)):
        found = refusal(lambda x: x - x.mean(axis=0), double=double)
        assert "The rows of a batch of model.py:build depend on each other" in found
        assert "--dimension rows=4" in found
