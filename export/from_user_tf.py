"""A user's TensorFlow model to ONNX by tf2onnx, from a `tf.function`."""

from __future__ import annotations

from assay.user.on_tf import load_program, outputs_of
from export.request import ExportOutcome, versions_of
from export.tf_graphs import write_function
from export.user_request import UserExportRequest


def export(request: UserExportRequest) -> ExportOutcome:
    """Write the model at opset 18 at most; same errors as `load_program`."""
    model = request.model
    program = load_program(model.location)
    inputs = [(one.name, one.dtype, model.open_shape_of(one)) for one in model.inputs]
    transforms = write_function(
        lambda *tensors: outputs_of(program.call(*tensors), model.location), inputs, request.output, request.opset
    )
    packages = versions_of("tensorflow", "tensorflow-cpu", "keras", "tf2onnx", "onnx")
    return ExportOutcome("", transforms, packages)
