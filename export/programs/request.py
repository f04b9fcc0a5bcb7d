"""The request to the maker of a runtime's program and its answer; the interface of all makers.

A maker is a function `make(request: ProgramRequest) -> dict[str, str]` in a file of its own, named in the entry of its
runtime (`assay.runtimes.entry.RuntimeEntry.maker`). It writes the files that its runtime loads into the request's
folder, and returns facts worth recording.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from assay.errors import InputError
from assay.export.reference.reference import read_images
from assay.files.arrays import load_array
from assay.jobs.files import Written
from assay.records.base import Record
from assay.train.brought.arrays import Array, inputs_of, record_type
from assay.train.brought.model import UserModel
from assay.train.built import BuiltModel


class ProgramRequest(Record):
    """One model, and the runtime to make a program for.

    Attributes:
        runtime: a registered runtime with a maker.
        onnx: the ONNX file that it is made from, where the runtime runs those; `layout` is that of its images.
        calibration: .npy file from which ranges of values are taken: float32 images as one of our architectures takes
            them, or records of a user's model; None where there are none.
        device: device that code is made for, "cpu" or "cuda".
        folder: an empty folder for the program.
    """

    runtime: str
    model: BuiltModel | UserModel
    onnx: Path | None = None
    layout: str = "NHWC"
    calibration: Path | None = None
    device: str = "cpu"
    folder: Written


Make = Callable[[ProgramRequest], dict[str, str]]


def calibration_calls(request: ProgramRequest) -> Iterator[Sequence[Array]]:
    """Iterate over the inputs of calls, in the model's order, with one image or record each.

    Images are (1, height, width, channels), whatever the layout of the file.

    Raises:
        InputError: there are none, or their type or shape is not the model's.
    """
    if request.calibration is None:
        raise InputError(
            f"{request.runtime} needs a calibration set, and there are no inputs",
            remedy="Give realistic inputs with --inputs FILE.npz",
        )
    model = request.model
    if isinstance(model, BuiltModel):
        images = read_images(request.calibration, model.spec)
        return ([np.array(images[place : place + 1])] for place in range(len(images)))
    records, wanted = load_array(request.calibration), record_type(model.inputs)
    if records.dtype != wanted or not len(records):
        raise InputError(
            f"The calibration set does not fit {model.location}", expected=str(wanted), found=str(records.dtype)
        )
    rows = 1 if model.whole else model.batch or 1
    starts = range(0, len(records) - rows + 1, rows)
    return (inputs_of(model, records[start : start + rows]) for start in starts)
