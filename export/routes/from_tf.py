"""TensorFlow / Keras to ONNX by tf2onnx, from a `tf.function` (its Keras entry does not know Keras 3)."""

from __future__ import annotations

import tensorflow as tf

from assay.export.routes.on_tf import forward_of
from assay.export.routes.request import ExportOutcome, ExportRequest, versions_of
from assay.export.routes.tf_graphs import NEWEST_OPSET, write_function
from assay.train.brought.model import UserModel


def export(request: ExportRequest) -> ExportOutcome:
    """Write the model at opset 18 at most, with images in NHWC.

    Raises:
        ArtifactError: the weights cannot be read or do not fit.
        AssayError: a user's file fails.
    """
    if isinstance(request.model, UserModel) and request.model.location.form == "tflite":
        return _from_litert(request, request.model)
    forward, keeps = forward_of(request.model)

    def named(*tensors: tf.Tensor) -> dict[str, tf.Tensor]:
        return dict(zip(request.outputs, forward(*tensors), strict=True))

    inputs = [(one.name, one.dtype, one.without_words) for one in request.inputs()]
    transforms = write_function(named, inputs, request.output, request.opset)
    del keeps
    packages = versions_of("tensorflow", "tensorflow-cpu", "keras", "tf2onnx", "onnx")
    return ExportOutcome("NHWC", transforms, packages)


def _from_litert(request: ExportRequest, model: UserModel) -> ExportOutcome:
    """Write a user's .tflite file: tf2onnx reads its operators one by one.

    Raises:
        ValueError: it has an operator that tf2onnx does not know.
    """
    import tf2onnx  # noqa: PLC0415
    from ai_edge_litert.interpreter import Interpreter  # noqa: PLC0415  only this kind of file needs it

    from assay.train.brought.named.on_litert import named_ends  # noqa: PLC0415

    path = str(model.location.path)
    inputs, outputs = named_ends(Interpreter(model_path=path))
    kept = [one for name, one in outputs.items() if name not in model.without]
    tf2onnx.convert.from_tflite(
        path,
        input_names=[str(inputs[one.name]["name"]) for one in model.inputs],
        output_names=[str(one["name"]) for one in kept],
        opset=min(request.opset, NEWEST_OPSET),
        output_path=str(request.output),
    )
    return ExportOutcome("NHWC", (), versions_of("tensorflow", "tensorflow-cpu", "tf2onnx", "onnx", "ai-edge-litert"))
