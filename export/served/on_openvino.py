"""OpenVINO's files with decoded pixels as input and decisions as output, like `assay.export.served.contract`."""

from __future__ import annotations

import numpy as np
import openvino as ov
from openvino import opset13 as operators

from assay.errors import ExportFailedError
from assay.export.served.contract import HALF_RANGE, IMAGES, LABEL, PROBABILITIES, SHIFT, TO_CHANNELS_FIRST
from assay.export.served.made import WrappedFile


def with_pixels(asked: WrappedFile) -> None:
    """
    Raises:
        ExportFailedError: the file has other inputs or outputs than an export of ours.
    """
    model = ov.Core().read_model(asked.source)
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ExportFailedError(
            f"{asked.source.name} cannot be made deployable",
            expected="one input and one output",
            found=f"{len(model.inputs)} and {len(model.outputs)}",
        )
    images = operators.parameter([-1, *asked.contract.spec.image_shape], np.uint8, IMAGES)
    images.output(0).get_tensor().set_names({IMAGES})
    pixels = images
    if asked.contract.layout == "NCHW":  # while a pixel is still one byte
        pixels = operators.transpose(images, np.array(TO_CHANNELS_FIRST))
    whole = operators.convert(pixels, np.int32)  # see `assay.export.served.contract`
    scaled = operators.divide(operators.convert(whole, np.float32), np.float32(HALF_RANGE))
    normalised = operators.subtract(scaled, np.float32(SHIFT))
    for user in model.input(0).get_target_inputs():
        user.replace_source_output(normalised.output(0))
    logits = model.output(0).get_node().input_value(0)
    probabilities = operators.softmax(logits, 1)
    largest = operators.topk(logits, np.int64(1), 1, "max", "none", "i64")
    label = operators.squeeze(largest.output(1), np.array([1]))
    outputs = []
    for name, node in ((PROBABILITIES, probabilities), (LABEL, label)):
        node.output(0).get_tensor().set_names({name})
        outputs.append(operators.result(node, name))
    ov.save_model(ov.Model(outputs, [images], asked.contract.spec.architecture), asked.file, compress_to_fp16=False)
