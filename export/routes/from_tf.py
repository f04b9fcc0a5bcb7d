"""TensorFlow / Keras to ONNX by tf2onnx, from a `tf.function` (its Keras entry does not know Keras 3)."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import tensorflow as tf

from assay.export.routes.request import ExportOutcome, ExportRequest, versions_of
from assay.export.routes.tf_graphs import write_function
from assay.train.brought.loaders.on_tf import load_forward
from assay.train.built import BuiltModel
from assay.train.models import on_tf
from assay.train.weights import load_weights


def export(request: ExportRequest) -> ExportOutcome:
    """Write the model at opset 18 at most, images in NHWC.

    Raises:
        ArtifactError: the weights cannot be read or do not fit.
        AssayError: a user's file fails.
    """
    forward, keeps = _forward_of(request)

    def named(*tensors: tf.Tensor) -> dict[str, tf.Tensor]:
        return dict(zip(request.outputs, forward(*tensors), strict=True))

    inputs = [(one.name, one.dtype, one.shape) for one in request.inputs()]
    transforms = write_function(named, inputs, request.output, request.opset)
    del keeps
    packages = versions_of("tensorflow", "tensorflow-cpu", "keras", "tf2onnx", "onnx")
    return ExportOutcome("NHWC", transforms, packages)


def _forward_of(request: ExportRequest) -> tuple[Callable[..., Iterable[tf.Tensor]], object]:
    """The model as a function of tensors by position, and what must live as long."""
    model = request.model
    if isinstance(model, BuiltModel):
        loaded = on_tf.load(model.spec, load_weights(model.weights))
        return lambda image: [loaded(image, training=False)], loaded
    forward, keeps = load_forward(model)
    return lambda *tensors: forward(*tensors).values(), keeps
