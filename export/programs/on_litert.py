"""TensorFlow models as LiteRT's files: in fp32, with weights in fp16, and in int8 of two kinds.

TensorFlow's own converter makes them from a graph whose variables are constants; its quantiser follows Jacob et al.
2018, "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference". There are two
kinds of int8: "dynamic range" finds the ranges of activations in every call, and full int8 takes them from calibration.
"""

from __future__ import annotations

import re
import shutil
import warnings
from collections.abc import Callable

import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from assay.errors import ExportFailedError
from assay.export.programs.request import ProgramRequest, calibration_calls
from assay.export.routes.on_tf import forward_of
from assay.export.routes.request import plain_names, versions_of
from assay.foreign import said_by
from assay.spec import LITERT_FILE
from assay.train.brought.model import UserModel

Change = Callable[[tf.lite.TFLiteConverter], None]


def make_fp32(request: ProgramRequest) -> dict[str, str]:
    """Convert a model, or take a user's own file as it is.

    Raises:
        AssayError: a user's file fails.
        ExportFailedError: the converter refuses the graph.
    """
    if isinstance(request.model, UserModel) and request.model.location.form == "tflite":
        shutil.copyfile(request.model.location.path, request.folder / LITERT_FILE)
        return versions_of("ai-edge-litert")
    return _converted(request, lambda converter: None)


def make_half_weights(request: ProgramRequest) -> dict[str, str]:
    """Store weights in fp16, to be widened when the file is loaded; same errors as `make_fp32`."""

    def change(converter: tf.lite.TFLiteConverter) -> None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]

    return _converted(request, change)


def make_dynamic(request: ProgramRequest) -> dict[str, str]:
    """Use int8 for weights, and for activations by the range of each call; same errors as `make_fp32`."""

    def change(converter: tf.lite.TFLiteConverter) -> None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]

    return _converted(request, change)


def make_int8(request: ProgramRequest) -> dict[str, str]:
    """Use integers throughout, except for float32 at inputs and outputs.

    Raises:
        InputError: there is nothing to calibrate with, or it does not fit the model.
        AssayError: as for `make_fp32`; an operator without integers is among the converter's refusals.
    """
    calls = [list(call) for call in calibration_calls(request)]

    def change(converter: tf.lite.TFLiteConverter) -> None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: iter(calls)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]

    return _converted(request, change) | {"calibrated on": f"{len(calls)} calls"}


def _converted(request: ProgramRequest, change: Change) -> dict[str, str]:
    """Convert, and write the file."""
    forward, keeps = forward_of(request.model)
    model = request.model
    names = plain_names("input", len(model.inputs))
    signature = [
        tf.TensorSpec(model.open_shape_of(one), one.dtype, name=name)
        for one, name in zip(model.inputs, names, strict=True)
    ]

    def kept(*tensors: tf.Tensor) -> list[tf.Tensor]:
        """Make each output a node of its own, even if it is an input or appears twice."""
        return [tf.identity(one) for one in forward(*tensors)]

    traced = tf.function(kept, signature, autograph=False).get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([convert_variables_to_constants_v2(traced)], None)
    change(converter)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Statistics for quantized inputs")  # they are float32
            content = converter.convert()
    except Exception as error:  # the converter raises whatever its parts raise
        raise ExportFailedError(
            f"TensorFlow's converter cannot convert {model.name} for LiteRT", found=reason_of(error)
        ) from error
    del keeps
    (request.folder / LITERT_FILE).write_bytes(content)
    return versions_of("tensorflow", "tensorflow-cpu", "ai-edge-litert")


def reason_of(error: Exception) -> str:
    """Return the operators for which the converter has no rule, if it names them among its pages; else its words."""
    lacking = sorted(set(re.findall(r"'(tf\.\w+)' op is neither a custom op nor a flex op", str(error))))
    return f"operators that LiteRT lacks: {', '.join(lacking)}" if lacking else said_by(error)
