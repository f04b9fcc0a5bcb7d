"""onnx's reference evaluator with its known faults worked around.

Its LRN runs over as many channels as there are images; its BatchNormalization below opset 14 takes the statistics of
the batch wherever `momentum` is set; it has no DequantizeLinear for opsets before 19; its GatherElements fails
among more than 64 elements and on a part of the data; its Pad takes nothing away where a width is below zero; its
Unique takes rows of a matrix for its numbers where they keep their order; its Loop does not run where the condition is
left out; and it reads no sparse initialiser. The first six are computed here from their definitions; a Loop without a
condition is given one, and sparse initialisers are made dense.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, SparseTensorProto, TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

Array = NDArray[Any]
ALWAYS = "assay: a loop without a condition"
MOST_LAID_OUT = 64 << 20
"""The most bytes for a convolution's windows."""


class LRN(OpRun):  # type: ignore[misc, unused-ignore]
    """Local response normalisation: each value over a power of the mean square of its neighbours among the channels."""

    op_domain = ""

    def _run(self, x: Array, alpha: float, beta: float, bias: float, size: int) -> tuple[Array]:
        before, after = (size - 1) // 2, size // 2
        padded = np.pad(np.square(x), [(0, 0), (before, after), *[(0, 0)] * (x.ndim - 2)])
        sums = sum(padded[:, place : place + x.shape[1]] for place in range(size))
        return ((x / (bias + alpha / size * sums) ** beta).astype(x.dtype),)


class BatchNormalization(OpRun):  # type: ignore[misc, unused-ignore]
    """Batch normalisation with the statistics in the file; those of the batch only in training mode, which opset 14
    introduced.
    """

    op_domain = ""

    def _run(  # noqa: PLR0913, PLR0917  the operator's own
        self,
        x: Array,
        scale: Array,
        bias: Array,
        mean: Array,
        variance: Array,
        epsilon: float = 1e-5,
        momentum: float | None = 0.9,
        training_mode: int | None = 0,
        is_test: int | None = None,
        spatial: int | None = None,
        consumed_inputs: object = None,
    ) -> tuple[Array, ...]:
        shape = (-1, *[1] * (x.ndim - 2))
        used = (mean, variance)
        if training_mode:
            axes = tuple(axis for axis in range(x.ndim) if axis != 1)
            used = (x.mean(axis=axes), x.var(axis=axes))
        centred = x - used[0].reshape(shape)
        y = centred / np.sqrt(used[1].reshape(shape) + epsilon) * scale.reshape(shape) + bias.reshape(shape)
        if not training_mode:
            return (y.astype(x.dtype),)
        kept = 0.9 if momentum is None else momentum
        running = (old * kept + new * (1 - kept) for old, new in zip((mean, variance), used, strict=True))
        return (y.astype(x.dtype), *(one.astype(mean.dtype) for one in running))


class DequantizeLinear(OpRun):  # type: ignore[misc, unused-ignore]
    """Dequantisation, (x - zero point) * scale, for the whole tensor, an axis, or blocks along one."""

    op_domain = ""

    def _run(
        self,
        x: Array,
        scale: Array,
        zero_point: Array | None = None,
        axis: int | None = 1,
        block_size: int | None = 0,
        output_dtype: int | None = None,
    ) -> tuple[Array]:
        factors = self._spread(np.asarray(scale), x, axis, block_size)
        offsets = 0 if zero_point is None else self._spread(np.asarray(zero_point), x, axis, block_size)
        wide = np.asarray(x).astype(np.float64) - np.asarray(offsets).astype(np.float64)
        return ((wide * factors).astype(np.asarray(scale).dtype),)

    @staticmethod
    def _spread(values: Array, x: Array, axis: int | None, block_size: int | None) -> Array:
        place = (1 if axis is None else axis) % max(x.ndim, 1)
        if values.size == 1 and not block_size:
            return values.reshape(())
        if block_size:
            return np.repeat(values, block_size, axis=place)[tuple(slice(0, size) for size in x.shape)]
        return values.reshape([-1 if at == place else 1 for at in range(x.ndim)])


class GatherElements(OpRun):  # type: ignore[misc, unused-ignore]
    """The elements at indices along an axis. onnx's own chooses among arrays, of which numpy takes 64 at most."""

    op_domain = ""

    def _run(self, data: Array, indices: Array, axis: int | None = 0) -> tuple[Array]:
        place = (axis or 0) % data.ndim
        part = tuple(slice(None if at == place else size) for at, size in enumerate(indices.shape))
        return (np.take_along_axis(data[part], indices.astype(np.int64), place),)


class Pad(OpRun):  # type: ignore[misc, unused-ignore]
    """Padding; a width below zero takes away where the padding is constant."""

    op_domain = ""

    def _run(
        self,
        data: Array,
        pads: Array | Sequence[int] | None = None,
        constant_value: Array | None = None,
        axes: Array | None = None,
        mode: Literal["constant", "edge", "reflect", "wrap"] | None = None,
        value: float | None = None,
        paddings: Sequence[int] | None = None,
    ) -> tuple[Array]:
        given = np.asarray(paddings if pads is None else pads, np.int64).reshape(2, -1).T
        places = range(data.ndim) if axes is None else np.asarray(axes).reshape(-1) % data.ndim
        widths = [(0, 0)] * data.ndim
        for place, (before, after) in zip(places, given, strict=True):
            widths[int(place)] = int(before), int(after)
        if mode is not None and mode != "constant":
            return (np.pad(data, widths, mode=mode),)
        kept = (slice(max(-one, 0), size + min(two, 0)) for (one, two), size in zip(widths, data.shape, strict=True))
        filling = np.asarray((value or 0) if constant_value is None else constant_value).reshape(())
        more = [(max(one, 0), max(two, 0)) for one, two in widths]
        return (np.pad(data[tuple(kept)], more, constant_values=filling.astype(data.dtype)),)


class Unique(OpRun):  # type: ignore[misc, unused-ignore]
    """Distinct numbers, or parts along an axis, in order or as they first appear, with where they are and how often."""

    op_domain = ""

    def _run(self, x: Array, axis: int | None = None, sorted: int | None = 1) -> tuple[Array, ...]:  # noqa: A002
        data, place = (x.reshape(-1), 0) if axis is None else (x, axis % x.ndim)
        found, first, inverse, counts = np.unique(data, True, True, True, axis=place)
        order = np.arange(len(first)) if sorted in {None, 1} else np.argsort(first)
        ranks = np.argsort(order)
        whole = (first[order], ranks[inverse.reshape(-1)], counts[order])
        values = np.take(found, order, axis=place)
        return (values, *(one.astype(np.int64) for one in whole))[: len(self.onnx_node.output)]


class Conv(OpRun):  # type: ignore[misc, unused-ignore]
    """Convolution with less memory. onnx's own lays out every window of an input at once, which takes as many times its
    memory as the kernel has places. Here as many places of the kernel are laid out as fit in `MOST_LAID_OUT`, and their
    products are summed.
    """

    op_domain = ""

    def _run(  # noqa: PLR0913, PLR0917  the operator's own
        self,
        x: Array,
        w: Array,
        b: Array | None = None,
        auto_pad: str | None = None,
        dilations: Sequence[int] | None = None,
        group: int | None = 1,
        kernel_shape: Sequence[int] | None = None,
        pads: Sequence[int] | None = None,
        strides: Sequence[int] | None = None,
    ) -> tuple[Array]:
        del kernel_shape  # the weights determine it
        axes, groups = x.ndim - 2, group or 1
        if axes < 1 or x.shape[1] != w.shape[1] * groups or w.shape[0] % groups:
            raise ValueError(f"Conv of {x.shape} with weights {w.shape} in {groups} groups")
        steps, gaps = list(strides or [1] * axes), list(dilations or [1] * axes)
        spans = [(size - 1) * gap + 1 for size, gap in zip(w.shape[2:], gaps, strict=True)]
        padded = np.pad(x, [(0, 0), (0, 0), *_padding(x.shape[2:], spans, steps, auto_pad, pads)])
        out = [(size - span) // step + 1 for size, span, step in zip(padded.shape[2:], spans, steps, strict=True)]
        y = np.zeros((x.shape[0], groups, w.shape[0] // groups, math.prod(out)), x.dtype)
        places = list(np.ndindex(*w.shape[2:]))
        a_place = max(x.shape[0] * x.shape[1] * math.prod(out) * x.itemsize, 1)
        at_once = max(MOST_LAID_OUT // a_place, 1)
        for start in range(0, len(places), at_once):
            part = places[start : start + at_once]
            windows = np.stack([padded[_window(place, gaps, steps, out)] for place in part], axis=2)
            columns = windows.reshape(x.shape[0], groups, w.shape[1] * len(part), -1)
            weights = np.stack([w[(..., *place)] for place in part], axis=2)
            y += weights.reshape(groups, w.shape[0] // groups, -1) @ columns
        found = y.reshape(x.shape[0], w.shape[0], *out)
        return (found if b is None else found + b.reshape(-1, *[1] * axes),)


def _padding(
    sizes: Sequence[int], spans: Sequence[int], steps: Sequence[int], auto_pad: str | None, pads: Sequence[int] | None
) -> list[tuple[int, int]]:
    if auto_pad in {"SAME_UPPER", "SAME_LOWER"}:
        wanted = [
            max((-(-size // step) - 1) * step + span - size, 0)
            for size, span, step in zip(sizes, spans, steps, strict=True)
        ]
        less = [(one // 2, one - one // 2) for one in wanted]
        return less if auto_pad == "SAME_UPPER" else [(after, before) for before, after in less]
    if auto_pad == "VALID" or not pads:
        return [(0, 0)] * len(sizes)
    return list(zip(pads[: len(sizes)], pads[len(sizes) :], strict=True))


def _window(place: Sequence[int], gaps: Sequence[int], steps: Sequence[int], out: Sequence[int]) -> tuple[slice, ...]:
    """Return the part of the input that one place of a kernel sees."""
    firsts = [at * gap for at, gap in zip(place, gaps, strict=True)]
    ends = zip(firsts, steps, out, strict=True)
    return (
        slice(None),
        slice(None),
        *(slice(first, first + step * (count - 1) + 1, step) for first, step, count in ends),
    )


OPERATORS = [LRN, BatchNormalization, DequantizeLinear, GatherElements, Pad, Unique, Conv]


def evaluator_of(model: ModelProto) -> ReferenceEvaluator:
    """Return the evaluator of a model; raises whatever onnx raises."""
    return ReferenceEvaluator(evaluable(model), new_ops=OPERATORS)


def evaluable(model: ModelProto) -> ModelProto:
    """Return the model itself, or a copy in which every loop has a condition, since one that is left out is always
    true, and every initialiser is dense.
    """
    loops = any(_is_unconditional(node) for node in _nodes_below(model.graph))
    if not loops and not model.graph.sparse_initializer:
        return model
    found = ModelProto()
    found.CopyFrom(model)
    _write_conditions(found.graph)
    found.graph.initializer.extend(map(_dense, found.graph.sparse_initializer))
    del found.graph.sparse_initializer[:]
    return found


def _dense(sparse: SparseTensorProto) -> TensorProto:
    """Return a tensor whose few values are given with their indices: places in the flattened tensor, (n,), or one in
    each dimension, (n, rank).
    """
    values, places = numpy_helper.to_array(sparse.values), numpy_helper.to_array(sparse.indices)
    dense = np.zeros(tuple(sparse.dims), values.dtype)
    if places.ndim == 1:
        dense.reshape(-1)[places] = values
    else:
        dense[tuple(places.T)] = values
    return numpy_helper.from_array(dense, sparse.values.name)


def _write_conditions(graph: GraphProto) -> None:
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                _write_conditions(attribute.g)
    loops = [node for node in graph.node if _is_unconditional(node)]
    for node in loops:
        inputs = [*node.input, *[""] * (2 - len(node.input))]
        inputs[1] = ALWAYS
        del node.input[:]
        node.input.extend(inputs)
    if loops:
        always = numpy_helper.from_array(np.array(True), ALWAYS)
        graph.node.insert(0, helper.make_node("Constant", [], [ALWAYS], value=always))


def _is_unconditional(node: NodeProto) -> bool:
    return node.op_type == "Loop" and (len(node.input) < 2 or not node.input[1])


def _nodes_below(graph: GraphProto) -> Iterable[NodeProto]:
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _nodes_below(attribute.g)
