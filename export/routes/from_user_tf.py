"""A user's TensorFlow model to ONNX by tf2onnx, from a `tf.function`."""

from __future__ import annotations

import tensorflow as tf

from assay.export.routes.request import ExportOutcome, versions_of
from assay.export.routes.tf_graphs import write_function
from assay.export.routes.user_request import UserExportRequest
from assay.train.brought.loaders.on_tf import load_forward


def export(request: UserExportRequest) -> ExportOutcome:
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
    packages = versions_of("tensorflow", "tensorflow-cpu", "keras", "tf2onnx", "onnx")
    return ExportOutcome("", transforms, packages)
