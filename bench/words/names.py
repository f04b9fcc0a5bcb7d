"""Names of runtimes, and of the sizes at which a user's model was compared, for people. Pure functions.

Results hold such sizes as the settings "dimensions" (names) and "sizes" (those of each point, in the order of the
names); a cell's `size` is that of the first dimension, and 0 where its calls were of mixed sizes.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence

from assay.bench.words.numbers import OWN_SIZE, TIMES, listed, pixels
from assay.records.results import Cell, Results
from assay.registry import RUNTIMES

MIXED, ALL = "mixed sizes", "all sizes"
EXPORT_FAILED = "the export failed"
"""Begins the reason of a cell without a file; the reason of its export follows."""


def runtime_in_words(label: str) -> str:
    """Return a cell's label as a reader knows it: "ort.cpu@tf2onnx" is "ONNX Runtime (tf2onnx export)"."""
    runtime, _, exporter = label.partition("@")
    entry = RUNTIMES.find(runtime)
    name = entry.words if entry and entry.words else runtime
    return f"{name} ({exporter} export)" if exporter else name


def in_words(point: Mapping[str, int]) -> str:
    """Return "64 tokens", or "height 224, width 384" for several dimensions."""
    if len(point) == 1:
        return next(f"{size} {name}" for name, size in point.items())
    return ", ".join(f"{name} {size}" for name, size in point.items())


def points_of(results: Results) -> list[dict[str, int]]:
    """Return the sizes at which the model was compared, by dimension; empty where none varies."""
    names, sizes = results.settings.get("dimensions"), results.settings.get("sizes")
    if not isinstance(names, list) or not isinstance(sizes, list):
        return []
    return [dict(zip(map(str, names), map(_whole, one), strict=True)) for one in sizes if isinstance(one, list)]


def is_mixed(cell: Cell, results: Results) -> bool:
    """Whether a cell's calls were of mixed sizes, so that it has no place among those of one size."""
    return not cell.size and bool(points_of(results))


def sized(size: int, results: Results) -> str:
    """Return a cell's size in words: "64 tokens" along a dimension, "64x64" of images."""
    if not size and points_of(results):
        return MIXED
    point = next((one for one in points_of(results) if next(iter(one.values())) == size), None)
    return in_words(point) if point else pixels(size)


def with_names(text: str, results: Results) -> str:
    """Return a text of ours in which sizes are pixels, with the names of the dimensions in their place."""
    for point in points_of(results):
        size = next(iter(point.values()))
        text = re.sub(rf"(?<!\d){size}{TIMES}{size}(?!\d)", in_words(point).replace("\\", r"\\"), text)
    axis = axis_of(results)
    changes = {"Latency by resolution": f"Latency by {axis}", "size, pixels": axis, OWN_SIZE: ALL}
    for ours, name in changes.items():
        text = text.replace(ours, name)
    return text


def axis_of(results: Results) -> str:
    """Return the name of the dimension along which sizes differ; "" where none does."""
    points = points_of(results)
    return next(iter(points[0])) if points else ""


def verified(results: Results) -> str:
    """Return the sentence on the sizes at which an export was timed and agrees; "" where no dimension varies."""
    cells = [cell for cell in results.cells if cell.exporter and cell.agreement and cell.agreement.passed]
    agreeing = {cell.size for cell in cells}
    points = [one for one in points_of(results) if next(iter(one.values())) in agreeing]
    if not points:
        return "No export is verified at any of the sizes." if points_of(results) else ""
    if len(points[0]) == 1:
        name = axis_of(results)
        said = f"{listed([str(one[name]) for one in points])} {name}"
    else:
        said = "; ".join(map(in_words, points))
    return f"Verified at {said}; other sizes were not verified."


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0


def crossing(verdicts: Sequence[tuple[int, str]]) -> tuple[int, int] | None:
    """Return the neighbouring sizes between which the faster side changes; None where one side is never slower.

    Args:
        verdicts: sizes, ascending, each with the verdict on ONNX there: "faster", "slower", or neither.
    """
    told = [(size, one) for size, one in verdicts if one in {"faster", "slower"}]
    return next(((a, b) for (a, one), (b, other) in itertools.pairwise(told) if one != other), None)
