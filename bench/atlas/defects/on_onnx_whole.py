"""The whole file as the program that shows an error, where no smaller one does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto

from assay.export.graph.inspect import read_model
from assay.export.localise.on_onnx_repro import MODEL, without_traces, write_program
from assay.files.arrays import load_array, load_arrays

INPUTS, REFERENCE = "inputs.npz", "reference.npy"


def write_whole(sample: Path, route: str, operator: str, folder: Path) -> bool:
    """Write model.onnx, inputs.npz, expected.npy, repro.json and run.py of a sample's whole file.

    Args:
        sample: folder of a sample, with its inputs, its values in float64, and the file of each route.
        folder: folder to write.

    Returns:
        Whether there is such a program: it compares a single output.
    """
    file, reference = sample / route / MODEL, sample / REFERENCE
    if not (file.is_file() and reference.is_file() and (sample / INPUTS).is_file()):
        return False
    model = read_model(file)
    if len(model.graph.output) != 1:
        return False
    folder.mkdir(parents=True)
    onnx.save(without_traces(model), folder / MODEL)
    arrays = load_arrays(sample / INPUTS)
    feeds = {one.name: arrays[one.name] for one in model.graph.input}
    expected = _shaped(load_array(reference), model)
    told = {"node": model.graph.node[-1].name, "operator": "the whole file", "expected": operator}
    write_program(folder, told, feeds, expected)
    return True


def _shaped(values: np.ndarray, model: ModelProto) -> np.ndarray:
    """Return values that are kept flat in the shape of the file's output, where it is known."""
    shape = [one.dim_value for one in model.graph.output[0].type.tensor_type.shape.dim]
    return values.reshape(shape) if int(np.prod(shape)) == values.size else values.reshape(-1)
