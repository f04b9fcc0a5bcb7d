"""A user's LiteRT file, once called TensorFlow Lite: run by LiteRT's own interpreter, which has no float64."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from assay.errors import ArtifactError, InputError, meant_by
from assay.foreign import said_by
from assay.train.brought.loaders.loaded import Array, Called, Compute, LoadedModel
from assay.train.brought.model import Declared, Location, unnamed
from assay.train.brought.named.on_litert import Details, named_ends
from assay.train.brought.outputs import kept_outputs


def load(location: Location) -> LoadedModel:
    """
    Raises:
        ArtifactError: the file is not one of LiteRT, or has an operator that the interpreter lacks.
    """
    try:
        interpreter = Interpreter(model_content=location.path.read_bytes(), num_threads=1)
        interpreter.allocate_tensors()
    except (OSError, RuntimeError, ValueError) as error:
        raise ArtifactError(
            f"{location} cannot be loaded", expected="a file of LiteRT (TensorFlow Lite)", found=said_by(error)
        ) from error
    inputs, outputs = named_ends(interpreter)

    def called(names: Sequence[str], without: Sequence[str]) -> Called:
        for name in names:
            if name not in inputs:
                raise InputError(
                    f"{location} has no input '{name}'",
                    expected=", ".join(inputs),
                    remedy=meant_by(name, inputs),
                )
        kept = kept_outputs(outputs, lambda _: True, without, str(location))
        return _compute(interpreter, [inputs[name] for name in names], kept, location), _no_double

    return LoadedModel(
        tuple(_declared(name, one) for name, one in inputs.items()),
        called,
        narrow=lambda names, arrays, **_: _narrow(interpreter),
    )


def _no_double() -> Compute:
    raise InputError("LiteRT computes nothing in float64")


def _declared(name: str, details: Details) -> Declared:
    """Describe an input; a dimension of any size is -1 in its signature."""
    shape = details["shape"]
    sizes: Any = details.get("shape_signature", shape)
    sizes = sizes if len(sizes) == len(shape) else shape
    known = tuple(int(size) if size > 0 else unnamed(name, place) for place, size in enumerate(sizes))
    return Declared(name=name, dtype=np.dtype(details["dtype"]).name, shape=known)


def _compute(
    interpreter: Interpreter, inputs: Sequence[Details], outputs: Mapping[str, Details], location: Location
) -> Compute:
    def compute(arrays: Sequence[Array]) -> dict[str, Array]:
        places = [int(one["index"]) for one in inputs]
        try:
            for place, array in zip(places, arrays, strict=True):
                interpreter.resize_tensor_input(place, array.shape, strict=False)
            interpreter.allocate_tensors()
            for place, array in zip(places, arrays, strict=True):
                interpreter.set_tensor(place, array)
            interpreter.invoke()
            return {name: interpreter.get_tensor(int(one["index"])) for name, one in outputs.items()}
        except (RuntimeError, ValueError) as error:
            shapes = ", ".join(str(array.shape) for array in arrays)
            raise InputError(f"{location} does not run with inputs of shape {shapes}", found=said_by(error)) from error

    return compute


def _narrow(interpreter: Interpreter) -> str:
    """Return "int8" where some tensor has integers in steps of a scale; weights stored in fp16 are widened first."""
    steps = (np.int8, np.uint8, np.int16)
    for one in interpreter.get_tensor_details():
        if one["dtype"] in steps and len(one["quantization_parameters"]["scales"]):
            return "int8"
    return ""
