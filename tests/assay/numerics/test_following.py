"""Reduced precision of users' models: an output follows its reference, or it is a different output."""

from __future__ import annotations

import numpy as np
import pytest

from assay.numerics.following import (
    LARGEST_SHARE,
    deviation_of,
    is_reduced,
    reason_against_share,
    share_of_error,
)
from assay.numerics.ties.choices import Decider
from assay.train.brought.agreement import Judge
from tests.user_models import tensor, user_model

REFERENCE = np.random.default_rng(0).normal(size=(64, 10))


def share(found: np.ndarray, reference: np.ndarray = REFERENCE) -> float:
    return share_of_error(np.abs(found - reference), deviation_of(reference))


@pytest.mark.parametrize("offset", [0.0, 1000.0, -1e6])
def test_a_share_is_of_what_varies_and_not_of_how_large_it_is(offset: float) -> None:
    """An int8 output with a step of 4 contains nothing of a signal of 1 on an offset of 1000."""
    reference = REFERENCE + offset
    assert share(reference + 0.05 * REFERENCE[::-1], reference) == pytest.approx(0.05, rel=0.1)
    flat = np.broadcast_to(reference.mean(axis=0), reference.shape)
    assert share(flat, reference) == pytest.approx(1.0)


def test_zeros_another_function_and_exchanged_columns_are_refused() -> None:
    exchanged = REFERENCE[:, [1, 0, *range(2, 10)]]
    for wrong in (np.zeros_like(REFERENCE), REFERENCE[::-1], exchanged, -REFERENCE):
        assert "of what varies in the reference" in reason_against_share(share(wrong))
    assert reason_against_share(share(REFERENCE)) == ""
    assert reason_against_share(LARGEST_SHARE) == ""
    assert reason_against_share(np.nextafter(LARGEST_SHARE, 1))


def test_a_constant_output_is_compared_with_its_own_size() -> None:
    constant = np.full((8, 3), 5.0)
    assert share(constant + 0.25, constant) == pytest.approx(0.05)
    one = REFERENCE[:1]
    assert share(one * 1.05, one) == pytest.approx(0.05)
    assert share(np.ones((2, 2)), np.zeros((2, 2))) == float("inf")
    assert share(np.zeros((2, 2)), np.zeros((2, 2))) == 0.0


@pytest.mark.parametrize(
    ("asked", "arithmetic", "reduced"),
    [
        ("int8", "fp32", True), ("bf16", "fp32", True), ("fp16", "fp32", True), ("int8", "bf16", True),
        ("fp32", "fp32", False), ("", "fp32", False), ("fp16", "fp16", False), ("fp32", "fp16", False),
    ],
)  # fmt: skip
def test_reduced_is_less_than_the_model_itself_computes_in(asked: str, arithmetic: str, reduced: bool) -> None:
    assert is_reduced(asked, arithmetic) is reduced


@pytest.mark.parametrize(("margin", "passed"), [(0.05, True), (1.5, False)])
def test_an_index_may_be_another_where_what_it_is_chosen_from_is_as_close_as_reduced_precision_leaves(
    margin: float, passed: bool
) -> None:
    """A class that the model chooses itself may change, but not in fp32, and only if the deciding values are known."""
    scores = np.random.default_rng(3).normal(size=(20, 4))
    scores[7] = [3.0, 3.0 - margin, 0.0, 0.0]
    label = scores.argmax(axis=1)
    found = label.copy()
    found[7] = 1
    model = user_model((tensor("x", 2),), (tensor("label", dtype="int64"),))
    decider = Decider(scores.reshape(20, 1, 4, 1), 1e-6)
    judge = Judge(model, label[:, None], {"onnx": label[:, None]}, deciders={"label": decider})
    places = np.arange(20)
    assert judge.compare("int8", found[:, None], places, "int8").passed is passed
    assert not judge.compare("fp32", found[:, None], places).passed
    blind = Judge(model, label[:, None], {"onnx": label[:, None]})
    assert not blind.compare("int8", found[:, None], places, "int8").passed
