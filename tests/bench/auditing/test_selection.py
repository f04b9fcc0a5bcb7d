"""Naming some models of a study keeps those and the models that their training starts from."""

from __future__ import annotations

from pathlib import Path

import pytest

from assay.bench.auditing.selection import with_models
from assay.errors import StudyError
from assay.study import load_study

REFERENCE = load_study(Path(__file__).parents[3] / "studies" / "reference.toml")


def test_no_name_leaves_the_study_as_it_is() -> None:
    assert with_models(REFERENCE, []) == REFERENCE


def test_smaller_sizes_stay_because_training_starts_from_them() -> None:
    (model,) = with_models(REFERENCE, ["bloodnet/64"]).models
    assert (model.architecture, model.sizes) == ("bloodnet", (28, 64))
    assert len(model.epochs) == 2


def test_several_names_leave_the_largest_of_each() -> None:
    found = with_models(REFERENCE, ["bloodnet/28", "resnet18/64", "resnet18/28"]).models
    assert [(model.architecture, model.sizes) for model in found] == [("bloodnet", (28,)), ("resnet18", (28, 64))]


def test_a_model_that_is_not_there_is_refused_with_the_nearest() -> None:
    with pytest.raises(StudyError, match="bloodnet/28"):
        with_models(REFERENCE, ["bloodnet/29"])
