"""A user's TensorFlow model to ONNX by tf2onnx, from a `tf.function`."""

from __future__ import annotations

import tensorflow as tf

from assay.user.on_tf import load_program, outputs_of
from export.request import ExportOutcome, versions_of
from export.tf_graphs import write_function
from export.user_request import UserExportRequest


def export(request: UserExportRequest) -> ExportOutcome:
    """Write the model at opset 18 at most; same errors as `load_program`."""
    model = request.model
    program = load_program(model.location)
    inputs = [
        (name, one.dtype, model.open_shape_of(one)) for name, one in zip(request.inputs, model.inputs, strict=True)
    ]

    def named(*tensors: tf.Tensor) -> dict[str, tf.Tensor]:
        found = outputs_of(program.call(*tensors), model.location).values()
        return dict(zip(request.outputs, found, strict=True))

    transforms = write_function(named, inputs, request.output, request.opset)
    packages = versions_of("tensorflow", "tensorflow-cpu", "keras", "tf2onnx", "onnx")
    return ExportOutcome("", transforms, packages)
