"""TensorFlow / Keras to ONNX by tf2onnx, from a `tf.function` (its Keras entry does not know Keras 3)."""

from __future__ import annotations

import tensorflow as tf

from assay.export.routes.on_tf import forward_of
from assay.export.routes.request import ExportOutcome, ExportRequest, versions_of
from assay.export.routes.tf_graphs import write_function


def export(request: ExportRequest) -> ExportOutcome:
    """Write the model at opset 18 at most, with images in NHWC.

    Raises:
        ArtifactError: the weights cannot be read or do not fit.
        AssayError: a user's file fails.
    """
    forward, keeps = forward_of(request.model)

    def named(*tensors: tf.Tensor) -> dict[str, tf.Tensor]:
        return dict(zip(request.outputs, forward(*tensors), strict=True))

    inputs = [(one.name, one.dtype, one.shape) for one in request.inputs()]
    transforms = write_function(named, inputs, request.output, request.opset)
    del keeps
    packages = versions_of("tensorflow", "tensorflow-cpu", "keras", "tf2onnx", "onnx")
    return ExportOutcome("NHWC", transforms, packages)
