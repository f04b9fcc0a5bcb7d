"""A pair of ONNX files compared with themselves: whether a row of a call changes with the other rows of the call.

This is tested where a candidate does not agree, before it is called wrong: a file that computes as in training, or
quantises with a scale for each call, follows no other file, and a model's fp32 outputs for inputs that mean nothing to
it may be rounding alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from assay.errors import InputError
from assay.export.graph.inspect import read_model
from assay.export.graph.on_onnx_narrow import narrow_arithmetic
from assay.export.graph.on_onnx_random import per_call_operators, training_operators
from assay.export.graph.on_onnx_signature import dimensions_of
from assay.export.localise.source import Array
from assay.export.pairs.on_onnx_pair_drawn import Feeds, Trying
from assay.export.reference.on_onnx_double import run_double, without_initialisers
from assay.numerics.agreement import CEILING
from assay.numerics.values import is_whole, settled
from assay.train.brought.model import unnamed
from assay.train.brought.training.words import IN_FILE, as_in_training

OTHER = "Give other inputs"
MOST_ALONE = 8
"""The number of rows that are run one by one."""
LARGER_ALONE = 10.0
"""How many times the error of the same rows alone an error must be to come from the other rows."""


def told_of_company(reference: Path, candidate: Path, feeds: Mapping[str, Array], *, drawn: bool) -> str:
    """Return the verdict on a candidate that replaces "wrong", or ""; see the module's text.

    Args:
        drawn: whether the inputs are random numbers.
    """
    model, right = read_model(candidate), read_model(reference)
    training = training_operators(model)
    if training and not training_operators(right):
        return f"{as_in_training(training)}, and nothing in the reference file does. {IN_FILE}"
    quantising = per_call_operators(model)
    if quantising and not per_call_operators(right):
        apart = _apart_by_company(candidate, feeds)
        return (
            f"it quantises each call with its own scale ({quantising})"
            + (f": the same rows are {apart}" if apart else "")
            + ", so that fp32 rounding is no measure of it. Compare it at the batch sizes used, one "
            "and more; or give the model from before quantisation"
        )
    if why := _rounding_alone(reference, feeds):
        return f"these inputs show nothing: the reference file's fp32 outputs for them are mere rounding, {why}. " + (
            "Give real inputs with --inputs: the model was not made for random numbers" if drawn else OTHER
        )
    return ""


def _rounding_alone(reference: Path, feeds: Mapping[str, Array]) -> str:
    """Return the evidence that a file in fp32 gives only rounding for these inputs, in words, or ""."""
    if (apart := _apart_by_company(reference, feeds)) and _is_rounding(reference, feeds):
        return f"the same rows are {apart}, while in float64 they are the same in any batch"
    model = read_model(reference)
    if narrow_arithmetic(model):
        return ""
    try:
        native, exact = Trying(reference)(feeds), run_double(model, feeds, reference.name)
    except InputError:
        return ""
    furthest = max((_apart(exact[name], native[name]) for name in exact), default=0.0)
    return f"{furthest:.2g} of the largest output away from its own float64" if furthest > CEILING else ""


def _apart(exact: Array, native: Array) -> float:
    """Return the largest difference over the largest number; 0 for whole numbers, other shapes and infinities."""
    if is_whole(exact.dtype) or exact.shape != native.shape:
        return 0.0
    both = settled(exact, native)
    return 0.0 if both.problem else both.apart / (both.scale or 1.0)


def _apart_by_company(path: Path, feeds: Mapping[str, Array]) -> str:
    """Say how the rows of a file in fp32 change with the other rows of the call, or ""."""
    try:
        attempt = Trying(path)
    except InputError:
        return ""
    distance = _distance(path, attempt, feeds)
    rows = max((len(one) for one in feeds.values() if one.ndim), default=0)
    if distance <= CEILING:
        return ""
    return f"{distance:.2g} of the largest output apart between calls of {rows} rows and of one"


def _is_rounding(path: Path, feeds: Mapping[str, Array]) -> bool:
    """Return whether the file in float64 gives every row the same in any company."""
    model = read_model(path)
    return _distance(path, lambda some: run_double(model, some, path.name), feeds) <= CEILING / LARGER_ALONE


def _distance(path: Path, compute: Callable[[Mapping[str, Array]], Feeds], feeds: Mapping[str, Array]) -> float:
    """Return the largest difference between the same rows in one call and one by one, over the largest number of their
    output; 0 where the file has no open batch or does not run in that way.
    """
    batched = _batched(path, feeds)
    if not batched:
        return 0.0
    count = len(feeds[batched[0]])
    try:
        together = compute(feeds)
        alone = [
            compute({name: one[row : row + 1] if name in batched else one for name, one in feeds.items()})
            for row in range(min(count, MOST_ALONE))
        ]
    except InputError:
        return 0.0
    found = 0.0
    for name, rows in together.items():
        parts = [one[name] for one in alone]
        if is_whole(rows.dtype) or rows.shape[:1] != (count,) or any(part.shape[:1] != (1,) for part in parts):
            continue
        both = settled(rows[: len(parts)].reshape(len(parts), -1), np.concatenate(parts).reshape(len(parts), -1))
        largest = settled(rows.reshape(count, -1), rows.reshape(count, -1)).scale
        found = max(found, float("inf") if both.problem else both.apart / (largest or 1.0))
    return found


def _batched(path: Path, feeds: Mapping[str, Array]) -> Sequence[str]:
    """Return the inputs whose first dimension is open and has the first such name; none for a single row."""
    found: dict[str, list[str]] = {}
    for value in without_initialisers(read_model(path).graph):
        shape = dimensions_of(value) or ()
        if shape and isinstance(shape[0], str):
            name = "" if shape[0] == unnamed(value.name, 0) else shape[0]
            found.setdefault(name, []).append(value.name)
    names = next(iter(found.values()), [])
    sizes = {len(feeds[name]) for name in names}
    return names if len(sizes) == 1 and sizes != {1} else []
