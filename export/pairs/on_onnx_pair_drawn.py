"""Inputs drawn for a pair of ONNX files: the whole numbers that the reference takes, and a call at the edges.

See `assay.export.probing.drawn_ranges` and `assay.export.probing.edge_inputs`. The rows of a call may depend on each
other here, so a call at the edges is used whole or not at all: the furthest tier on which the reference file in fp32 is
within half a step of TF32 of float64.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime as ort
from onnx import ModelProto

from assay.errors import InputError
from assay.export.graph.inspect import one_line
from assay.export.graph.on_onnx_random import fewest_places
from assay.export.localise.source import Array
from assay.export.pairs.pair_inputs import OnnxValue, draw_inputs
from assay.export.probing.drawn_ranges import Range, first_taken, ranges_of
from assay.export.probing.edge_inputs import TIERS, draw_edges
from assay.export.reference.on_onnx_exact import Exact
from assay.numerics.rounding import FP32, Rounding
from assay.numerics.values import is_whole

Feeds = dict[str, Array]


@dataclass(frozen=True)
class AtTheEdges:
    """A call at the edges, the reference for it, and how far out it goes, in words."""

    feeds: Feeds
    exact: Exact
    reach: str


class Trying:
    """A file in one session of ONNX Runtime without optimisations."""

    def __init__(self, path: Path) -> None:
        """
        Raises:
            InputError: ONNX Runtime refuses the file.
        """
        options = ort.SessionOptions()
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.log_severity_level = 4
        self._name = path.name
        try:
            self._session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its exceptions have no common base
            raise InputError(f"ONNX Runtime refuses {path.name}", found=one_line(error)) from error

    def __call__(self, feeds: Mapping[str, Array]) -> Feeds:
        names = [output.name for output in self._session.get_outputs()]
        try:
            return dict(zip(names, map(np.asarray, self._session.run(names, dict(feeds))), strict=True))
        except Exception as error:  # its exceptions have no common base
            raise InputError(f"ONNX Runtime does not run {self._name}", found=one_line(error)) from error


def drawn_by_trying(
    path: Path, model: ModelProto, values: Sequence[OnnxValue], dimensions: Mapping[str, int], rows: int
) -> tuple[Feeds, Mapping[str, Range]]:
    """Draw inputs whose whole numbers the file takes; inputs by the signature alone where it runs on none.

    Args:
        rows: number of rows where none is given.

    Raises:
        InputError: see `draw_inputs`.
    """
    feeds = draw_inputs(values, dimensions, rows=rows)
    if not any(is_whole(array.dtype) and array.dtype != np.bool_ for array in feeds.values()):
        return feeds, {}
    try:
        attempt = Trying(path)
        ranges = ranges_of(first_taken(feeds, attempt), attempt, fewest_places(model))
    except InputError:  # the comparison will find out why it does not run
        return feeds, {}
    return draw_inputs(values, dimensions, ranges=ranges, rows=rows), ranges


def call_at_the_edges(
    path: Path,
    feeds: Feeds,
    ranges: Mapping[str, Range],
    exactly: Callable[[Feeds], Exact],
    rounding: Rounding = FP32,
) -> AtTheEdges | None:
    """Return the furthest call that the reference can take, or None where it can take none.

    Args:
        feeds: inputs of the ordinary call, which has the same shapes.
        exactly: computes the reference in float64, or raises InputError.
        rounding: rounding of the reference file's precision.
    """
    values = [OnnxValue(name, array.dtype.name, array.shape) for name, array in feeds.items()]
    for place in reversed(range(len(TIERS))):
        for signed in (True, False):
            random = np.random.default_rng(place + 1)
            edge = draw_edges(values, ranges, TIERS[place], random, signed=signed)
            try:
                native = Trying(path)(edge)
                exact = exactly(edge) if _is_finite(native) else None
            except InputError:  # the file does not take it, or there is no float64 there
                continue
            if exact is not None and _is_sound(exact.outputs, native, rounding):
                reach = f"zero, tiny and up to {TIERS[place].reach:g}" + (" of either sign" if signed else "")
                return AtTheEdges(edge, exact, reach)
    return None


def _is_finite(outputs: Feeds) -> bool:
    return all(is_whole(one.dtype) or bool(np.isfinite(one.astype(np.float64)).all()) for one in outputs.values())


def _is_sound(exact: Feeds, native: Feeds, rounding: Rounding) -> bool:
    """Return whether a file agrees with its own float64 to rounding; whole numbers must be equal."""
    for name, right in exact.items():
        own = native[name]
        if own.shape != right.shape:
            return False
        if is_whole(right.dtype):
            if not np.array_equal(own, right):
                return False
            continue
        apart = np.abs(own.astype(np.float64) - right.astype(np.float64)).max(initial=0.0)
        if not apart <= rounding.ceiling / 2 * np.abs(right).max(initial=0.0):
            return False
    return True


def made_how(feeds: Feeds, ranges: Mapping[str, Range], edges: AtTheEdges | None) -> str:
    """Say how the inputs were drawn and what they do not cover, in sentences."""
    said = ", ".join(f"'{name}' {_ordinary(name, array, ranges)}" for name, array in feeds.items())
    far = [f"'{name}' {_far(array, edges.feeds[name], edges.reach)}" for name, array in feeds.items()] if edges else []
    more = (
        f"another call at the edges: {', '.join(far)}" if far else "no call at the edges, where the file does not run"
    )
    return f"drawn with seed 0: {said}; {more}. Not covered: realistic inputs, and numbers beyond these ranges"


def _ordinary(name: str, array: Array, ranges: Mapping[str, Range]) -> str:
    if array.dtype == np.bool_:
        return "true and false"
    return str(ranges.get(name, Range())) if is_whole(array.dtype) else "standard normal"


def _far(array: Array, edge: Array, reach: str) -> str:
    if array.dtype == np.bool_ or not edge.size:
        return "as before"
    return f"from {int(edge.min()):,} to {int(edge.max()):,}" if is_whole(array.dtype) else reach
