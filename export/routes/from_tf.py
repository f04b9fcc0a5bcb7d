"""TensorFlow / Keras to ONNX by tf2onnx, from a `tf.function` (its Keras entry does not know Keras 3)."""

from __future__ import annotations

import tensorflow as tf

from assay.export.routes.request import BroughtRequest, ExportOutcome, ExportRequest, versions_of
from assay.export.routes.tf_graphs import write_function, write_onnx
from assay.train.brought.loaders.on_tf import load_forward
from assay.train.models import on_tf
from assay.train.weights import load_weights

PACKAGES = ("tensorflow", "tensorflow-cpu", "keras", "tf2onnx", "onnx")


def export(request: ExportRequest) -> ExportOutcome:
    """Write the model with a dynamic batch dimension, in NHWC, at opset 18 at most.

    Raises:
        ArtifactError: the weights cannot be read or do not fit.
    """
    model = on_tf.load(request.spec, load_weights(request.weights))
    transforms = write_onnx(lambda image: model(image, training=False), request.spec, request.output, request.opset)
    return ExportOutcome("NHWC", transforms, versions_of(*PACKAGES))


def export_brought(request: BroughtRequest) -> ExportOutcome:
    """Write the model at opset 18 at most; same errors as `assay.train.brought.loaders.on_tf.load`."""
    model = request.model
    forward, keeps = load_forward(model)
    inputs = [
        (name, one.dtype, model.open_shape_of(one)) for name, one in zip(request.inputs, model.inputs, strict=True)
    ]

    def named(*tensors: tf.Tensor) -> dict[str, tf.Tensor]:
        return dict(zip(request.outputs, forward(*tensors).values(), strict=True))

    transforms = write_function(named, inputs, request.output, request.opset)
    del keeps
    return ExportOutcome("", transforms, versions_of(*PACKAGES))
