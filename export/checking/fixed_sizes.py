"""Sizes that an exporter wrote into a file as constants, where the dimension should have been open."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from assay.export.graph.inspect import read_model
from assay.jobs.job import Job
from assay.jobs.serving import serve_job
from assay.records.base import Record

if TYPE_CHECKING:
    import onnx

SHAPES = {"Reshape": 1, "Expand": 1, "ConstantOfShape": 0, "Slice": 2, "Range": 1, "Tile": 1, "Resize": 3, "Pad": 1}
"""Operators to which a size is given as a number, and the place of that input."""
SIDE_BY_SIDE = frozenset({"Add", "Sub", "Mul", "Div", "Where", "Concat", "And", "Or", "Less", "Greater", "Equal"})
"""Operators whose inputs have to be of one size, so that a constant among them fixes it."""
MOST_NAMED, MOST_SIZES = 3, 64


class FixedSizesRequest(Record):
    """A file, and the sizes, by dimension, at which it was made."""

    file: Path
    sizes: dict[str, int]


class FixedSizes(Record):
    """The nodes in which one of the sizes is a constant, in words, the first in the file first."""

    nodes: list[str]


FIXED_SIZES = Job("assay.export.checking.fixed_sizes", "fixed-sizes", FixedSizesRequest, FixedSizes)


def fixed_sizes(request: FixedSizesRequest) -> FixedSizes:
    """
    Raises:
        ArtifactError: the file cannot be read.
    """
    graph = read_model(request.file).graph
    return FixedSizes(nodes=list(_found(graph, frozenset(request.sizes.values())))[:MOST_NAMED])


def _found(graph: onnx.GraphProto, sizes: frozenset[int]) -> Iterator[str]:
    known = dict(_constants(graph))
    for node in graph.node:
        for place, name in enumerate(node.input):
            constant = known.get(name)
            if constant is None:
                continue
            if SHAPES.get(node.op_type) == place and constant.size <= MOST_SIZES:
                numbers = [int(one) for one in constant.reshape(-1)]
                if sizes & set(numbers):
                    yield f"{_called(node)}, whose input '{name}' is the constant {numbers}"
            elif node.op_type in SIDE_BY_SIDE and sizes & set(constant.shape):
                yield f"{_called(node)}, whose input '{name}' is a constant of shape {list(constant.shape)}"


def _called(node: onnx.NodeProto) -> str:
    return f"{node.op_type} '{node.name or node.output[0]}'"


def _constants(graph: onnx.GraphProto) -> Iterator[tuple[str, NDArray[np.generic]]]:
    from onnx import numpy_helper  # noqa: PLC0415

    for tensor in graph.initializer:
        yield tensor.name, numpy_helper.to_array(tensor)
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            yield node.output[0], numpy_helper.to_array(node.attribute[0].t)


if __name__ == "__main__":
    serve_job(FIXED_SIZES.done_by(fixed_sizes))
