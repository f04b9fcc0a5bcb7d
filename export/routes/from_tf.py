"""TensorFlow / Keras to ONNX by tf2onnx, from a `tf.function` (its Keras entry does not know Keras 3)."""

from __future__ import annotations

from assay.export.routes.request import ExportOutcome, ExportRequest, versions_of
from assay.export.routes.tf_graphs import write_onnx
from assay.train.models import on_tf
from assay.train.weights import load_weights


def export(request: ExportRequest) -> ExportOutcome:
    """Write the model with a dynamic batch dimension, in NHWC, at opset 18 at most.

    Raises:
        ArtifactError: the weights cannot be read or do not fit.
    """
    model = on_tf.load(request.spec, load_weights(request.weights))
    transforms = write_onnx(lambda image: model(image, training=False), request.spec, request.output, request.opset)
    packages = versions_of("tensorflow", "tensorflow-cpu", "keras", "tf2onnx", "onnx")
    return ExportOutcome("NHWC", transforms, packages)
