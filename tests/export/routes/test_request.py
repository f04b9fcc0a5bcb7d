"""A route gets the same request for our model and a user's: inputs by plain names, and which sizes are open."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import TypeAdapter

from assay.export.routes.request import Argument, ExportRequest
from assay.spec import ModelSpec
from assay.train.brought.model import UserModel
from assay.train.built import BuiltModel
from tests.user_models import tensor, user_model

OURS = BuiltModel(spec=ModelSpec("bloodnet", 28, 8), weights=Path("weights.safetensors"), fingerprint="key")
THEIRS = user_model(
    (tensor("x y", 28, 28, 3, dtype="int64"), tensor("scale", shared=True)),
    (tensor("first", 2), tensor("last")),
    "jax",
)


def asked(model: BuiltModel | UserModel) -> ExportRequest:
    return ExportRequest(model, Path("model.onnx"), 18)


@pytest.mark.parametrize(("layout", "image"), [("NHWC", (28, 28, 3)), ("NCHW", (3, 28, 28))])
def test_images_of_ours_go_in_as_the_route_takes_them(layout: str, image: tuple[int, ...]) -> None:
    (found,) = asked(OURS).inputs(layout)
    assert found == Argument("assay_input_0000", "float32", (None, *image), (2, *image))
    assert asked(OURS).outputs == ["assay_output_0000"]


@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
def test_what_a_user_brings_goes_in_as_it_is(layout: str) -> None:
    first, second = asked(THEIRS).inputs(layout)
    assert first == Argument("assay_input_0000", "int64", (None, 28, 28, 3), (2, 28, 28, 3))
    assert second == Argument("assay_input_0001", "float32", (), ())
    assert asked(THEIRS).outputs == ["assay_output_0000", "assay_output_0001"]


def test_a_job_can_tell_the_two_apart() -> None:
    either: TypeAdapter[BuiltModel | UserModel] = TypeAdapter(BuiltModel | UserModel)
    for model in (OURS, THEIRS):
        assert either.validate_json(model.model_dump_json()) == model
