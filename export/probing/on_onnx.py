"""A user's ONNX file: run in fp32 by ONNX Runtime without optimisations, in float64 as `on_onnx_exact` does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache, partial
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import ModelProto, ValueInfoProto

from assay.errors import ArtifactError, InputError
from assay.export.checking.lacking import lacks_operator
from assay.export.graph.inspect import one_line, read_model
from assay.export.graph.on_onnx_integers import arithmetic_of
from assay.export.graph.on_onnx_random import (
    fewest_places,
    per_call_operators,
    random_operators,
    training_operators,
)
from assay.export.graph.on_onnx_signature import (
    dimensions_of,
    other_than_numbers,
    refuse_incomparable,
    type_of,
    with_plain_ends,
    without_outputs,
)
from assay.export.graph.on_onnx_words import words_of
from assay.export.reference.on_onnx_double import evaluate, to_double, without_initialisers
from assay.export.reference.on_onnx_exact import EVALUATOR, exact_of
from assay.train.brought.loaders.loaded import Called, Compute, LoadedModel
from assay.train.brought.model import NARROW, TEXT, Declared, Location

Array = NDArray[np.generic]

TYPES = {"": "", "text": TEXT, "a tensor of bfloat16": NARROW}
"""The types of inputs that can be made, by what `other_than_numbers` says of them; "" for numpy's own."""

REMEDIES = {
    "same node name": "Give its nodes other names, or none: they mean nothing",
    "till opset": "Export it with an opset that the installed ONNX Runtime supports",
}
"""Advice where ONNX Runtime refuses a file, by words of its message."""


def load(location: Location) -> LoadedModel:
    """
    Raises:
        ArtifactError: the file is not an ONNX model, or ONNX Runtime refuses it.
        InputError: an input is not a tensor of numbers.
    """
    model = read_model(location.path)
    declared, arithmetic = tuple(_declared(value) for value in without_initialisers(model.graph)), arithmetic_of(model)
    told = with_plain_ends(model)
    file = model.SerializeToString() if told else location.path
    evaluated: list[str] = []
    in_double: dict[str, None] = {}

    def called(names: Sequence[str], without: Sequence[str], narrow: Sequence[str] = ()) -> Called:
        del narrow  # the file itself casts them
        kept = without_outputs(model, without, str(location))
        refuse_incomparable(kept.graph.output, str(location))
        outputs = [one.name for one in kept.graph.output]
        try:
            native = _native(file, location, declared, names, outputs)
        except ArtifactError as error:
            if not lacks_operator(str(error)):
                raise
            native = _evaluated(kept, location, names)
            evaluated.append(EVALUATOR)
        return native, lambda: double(kept, location.name, in_double)

    return LoadedModel(
        declared,
        called,
        random=partial(random_operators, model),
        per_call=partial(per_call_operators, model),
        places=lambda names, inputs, **_: fewest_places(model),
        narrow=lambda names, inputs, **_: arithmetic,
        training=lambda names, inputs, **_: training_operators(model),
        by=lambda: next(iter(evaluated), ""),
        double_by=lambda: " and ".join(in_double),
        told=tuple(told),
        words=words_of(model),
    )


def double(model: ModelProto, name: str, by: dict[str, None]) -> Compute:
    """Return a model in float64; calling it raises InputError where there is no reference, see `on_onnx_exact`.

    Args:
        by: receives the names of the programs whose results it returned, in order.
    """
    names = [value.name for value in without_initialisers(model.graph)]
    wide = cache(lambda: to_double(model))

    def compute(inputs: Sequence[Array]) -> dict[str, Array]:
        exact = exact_of(model, dict(zip(names, inputs, strict=True)), name, wide=wide)
        by[exact.by] = None
        return exact.outputs

    return compute


def _native(
    file: Path | bytes, location: Location, declared: Sequence[Declared], names: Sequence[str], outputs: Sequence[str]
) -> Compute:
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    try:
        session = ort.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions have no common base
        said = one_line(error)
        remedy = next((way for words, way in REMEDIES.items() if words in said), None)
        raise ArtifactError(f"ONNX Runtime refuses {location}", found=said, remedy=remedy) from error

    def compute(inputs: Sequence[Array]) -> dict[str, Array]:
        try:
            found = session.run(list(outputs), dict(zip(names, inputs, strict=True)))
        except Exception as error:  # its exceptions have no common base
            sizes = _sizes(declared, dict(zip(names, inputs, strict=True)))
            raise InputError(
                f"{location} does not run" + (f" with {sizes}" if sizes else ""),
                found=one_line(error),
                remedy="It declares these sizes dynamic but may have been exported for others: try those, such as "
                f"--dimension {sizes.partition('=')[0]}=1"
                if sizes
                else None,
            ) from error
        return dict(zip(outputs, map(np.asarray, found), strict=True))

    return compute


def _evaluated(model: ModelProto, location: Location, names: Sequence[str]) -> Compute:
    """Return a file run by onnx's reference evaluator in its own types, for which ONNX Runtime has no kernels, such as
    bf16 on a processor.
    """
    outputs = [one.name for one in model.graph.output]

    def compute(inputs: Sequence[Array]) -> dict[str, Array]:
        found = evaluate(model, dict(zip(names, inputs, strict=True)), location.name, outputs)
        return {name: found[name] for name in outputs}

    return compute


def _sizes(declared: Sequence[Declared], inputs: Mapping[str, Array]) -> str:
    """Say which sizes a call has where the file leaves them open, "batch=2, steps=9"."""
    found: dict[str, int] = {}
    for one in declared:
        if one.name in inputs:
            pairs = zip(one.shape, inputs[one.name].shape, strict=False)
            found |= {name: size for name, size in pairs if isinstance(name, str)}
    return ", ".join(f"{name}={size}" for name, size in found.items())


def _declared(value: ValueInfoProto) -> Declared:
    """
    Raises:
        InputError: it is not a tensor of numbers or text.
    """
    if value.type.HasField("optional_type"):  # ONNX Runtime takes the tensor itself
        value = onnx.helper.make_value_info(value.name, value.type.optional_type.elem_type)
    shape, other = dimensions_of(value), other_than_numbers(value)
    if other not in TYPES:
        raise InputError(f"Input '{value.name}' cannot be made", expected="a tensor of numbers or text", found=other)
    return Declared(name=value.name, dtype=TYPES[other] or type_of(value), shape=shape or (), any_rank=shape is None)
