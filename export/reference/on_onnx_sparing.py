"""onnx's reference evaluator within a share of the memory that is free.

Its own `run` keeps every value until the end, and nobody asks what a node will take. Here a value is dropped after its
last reader, and before each node the bytes of the kept values, of the node's results (where shape inference knows them)
and of its working memory are compared with a limit, so that a file is refused before the system ends the process.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, ValueInfoProto, shape_inference
from onnx.reference import ReferenceEvaluator

from assay.export.graph.on_onnx_order import names_read
from assay.export.graph.saved import with_initialisers
from assay.export.reference.memory import SHARE, TooLargeError, in_words
from assay.files.arrays import most_bytes

Array = NDArray[Any]
Watch = Callable[[str, Array], None]

LARGEST_SHAPE = 1024
"""The most numbers of a tensor that may be a shape."""
BESIDE = 2
"""The memory that a node may need: so many times its inputs if nothing is known of it, else so many times its results,
since numpy makes copies on the way.
"""


def run_sparingly(
    evaluator: ReferenceEvaluator,
    model: ModelProto,
    feeds: Mapping[str, Array],
    wanted: Collection[str] | None,
    watch: Watch | None = None,
    at_most: int | None = None,
) -> dict[str, Array]:
    """Return the wanted values of a model by name.

    Args:
        evaluator: the model's evaluator.
        wanted: names of values; None for all, in which case no value is dropped.
        watch: called with every value that is computed, and its name.
        at_most: limit on the bytes of values; a share of the free memory by default.

    Raises:
        TooLargeError: it would take more. onnx and numpy may raise other errors.
    """
    most = most_bytes(SHARE) if at_most is None else at_most
    made = _bytes_made(model, feeds)
    readers = _last_readers(evaluator)
    results: dict[str, Any] = {"": None, **evaluator.rt_inits_, **feeds}
    for place, node in enumerate(evaluator.rt_nodes_):
        inputs = [results[name] for name in node.input]
        _check(results, inputs, [made.get(name) for name in node.output if name], most)
        context = {"context": results} if node.need_context() else {}
        for name, value in zip(node.output, node.run(*inputs, **context), strict=False):
            results[name] = value
            if watch is not None and isinstance(value, np.ndarray):
                watch(name, value)
        if wanted is not None:
            for name in readers.get(place, ()):
                if name not in wanted and name in results:
                    del results[name]
    kept = results if wanted is None else {name: results[name] for name in wanted if name in results}
    return {name: value for name, value in kept.items() if name}


def _check(results: Mapping[str, Any], inputs: Collection[Any], outputs: Collection[int | None], most: int) -> None:
    held = [_held(one) for one in results.values() if isinstance(one, np.ndarray)]
    kept = sum({id(one): one.nbytes for one in held}.values())
    known = [one for one in outputs if one is not None]
    needed = sum(known) if known and len(known) == len(outputs) else sum(map(_bytes, inputs))
    if kept + BESIDE * needed > most:
        raise TooLargeError(
            "Its values in float64 need more memory than is available",
            expected=f"at most {in_words(most)}",
            found=in_words(kept + BESIDE * needed),
        )


def _held(value: Array) -> Array:
    """Return the array that keeps an array's memory: a view holds the whole that it is a part of."""
    while isinstance(value.base, np.ndarray):
        value = value.base
    return value


def _bytes(value: object) -> int:
    return value.nbytes if isinstance(value, np.ndarray) else 0


def _last_readers(evaluator: ReferenceEvaluator) -> dict[int, list[str]]:
    """Return the values that nobody needs after a node, by the node's place."""
    made = {name for node in evaluator.rt_nodes_ for name in node.output}
    last: dict[str, int] = {}
    for place, node in enumerate(evaluator.rt_nodes_):
        for name in (*node.output, *(names_read(node.onnx_node) - {""})):
            last[name] = place
    found: dict[int, list[str]] = {}
    for name, place in last.items():
        if name not in made:  # a weight or an input, which others hold
            continue
        found.setdefault(place, []).append(name)
    return found


def _bytes_made(model: ModelProto, feeds: Mapping[str, Array]) -> dict[str, int]:
    """Return the bytes of each value with these inputs, where shape inference knows its shape; eight bytes for each
    number.
    """
    bare = _without_weights(model)
    for value in bare.graph.input:
        if value.name in feeds:
            _fix(value, feeds[value.name].shape)
    for value in bare.graph.output:
        value.type.tensor_type.ClearField("shape")
    try:
        known = shape_inference.infer_shapes(bare, data_prop=True).graph
    except Exception:  # noqa: BLE001  where it infers nothing, each node is judged by its inputs
        return {}
    found = {}
    for value in (*known.value_info, *known.output):
        dimensions = value.type.tensor_type.shape.dim
        if value.type.tensor_type.HasField("shape") and all(one.HasField("dim_value") for one in dimensions):
            found[value.name] = 8 * math.prod(one.dim_value for one in dimensions)
    return found


def _without_weights(model: ModelProto) -> ModelProto:
    """Return a copy that has only the shapes of large initialisers, and none of those that the file states inside."""
    shapes = (
        one
        if math.prod(one.dims) <= LARGEST_SHAPE
        else TensorProto(name=one.name, data_type=one.data_type, dims=one.dims)
        for one in model.graph.initializer
    )
    bare = with_initialisers(model, shapes)
    del bare.graph.value_info[:]
    return bare


def _fix(value: ValueInfoProto, shape: tuple[int, ...]) -> None:
    dimensions = value.type.tensor_type.shape
    del dimensions.dim[:]
    for size in shape:
        dimensions.dim.add().dim_value = size
