"""The material of a report, and questions about it that several sections ask."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import polars

from assay.bench.report.drawing.palette import Series, ordered, series_of
from assay.bench.report.page.blocks import Column
from assay.bench.words.numbers import pixels
from assay.records.audit import Audit
from assay.records.base import Interval
from assay.records.load import Load
from assay.records.races import Race, SpeedComparison
from assay.records.results import Agreement, Cell, Results
from assay.records.stale import is_file_of
from assay.records.trainings import Training

SYNTHETIC_LABEL = "SYNTHETIC images"
PLAIN_WORDS = {
    "any logit": "any number",
    "a logit": "a number",
    "the whole test split, on hard images and at the decision boundary": "all records",
    "by image size": "by size",
    "Image size, px": "Size",
    "Image size": "Size",
    "image size": "size",
    "larger images": "larger sizes",
    ", every comparison, and every image that changes its class": " and every comparison",
    "Images": "Records",
    "images": "records",
    "image": "record",
}
"""A report's words in place of those of a study, replaced in this order."""


@dataclass(frozen=True, order=True)
class CellGroup:
    """Cells that may be compared with one another: the same model under the same conditions."""

    architecture: str
    size: int
    batch: int
    threads: int


@dataclass(frozen=True)
class Evidence:
    """A study's record, the raw samples behind it if they were kept, and the audit and load test in the same folder."""

    results: Results
    samples: polars.DataFrame | None = None
    audit: Audit | None = None
    load: Load | None = None

    @property
    def timed(self) -> list[Cell]:
        """The cells that have times, without the instrument's own zero."""
        return [cell for cell in self.results.cells if is_timed(cell) and cell.framework]

    def place_of(self, cell: Cell) -> int:
        """Return the cell's index in the record."""
        return next(index for index, other in enumerate(self.results.cells) if other is cell)

    @property
    def threads_vary(self) -> bool:
        return len({cell.threads for cell in self.results.cells}) > 1


def group_of(one: Cell | Race | SpeedComparison) -> CellGroup:
    """Return the group of cells that a record belongs to."""
    return CellGroup(one.architecture, one.size, one.batch, one.threads)


def worded(text: str, results: Results) -> str:
    """Return a text of ours in words that fit what was measured: a user's model has records and numbers, not images and
    logits.

    Args:
        text: a text without any foreign parts, such as names.
    """
    if results.kind == "model":
        for word, plain in PLAIN_WORDS.items():
            text = text.replace(word, plain)
    return text


def worded_columns(columns: Sequence[Column], results: Results) -> tuple[Column, ...]:
    """Do the same for the headings of a table."""
    return tuple(replace(column, heading=worded(column.heading, results)) for column in columns)


def is_timed(cell: Cell) -> bool:
    """Return whether a cell has times, valid ones or not."""
    return cell.status == "ok" and cell.host is not None


def chart_notice(results: Results) -> str:
    """Return the few words that label every chart: that images are synthetic, or the split unofficial."""
    if results.data.synthetic:
        return SYNTHETIC_LABEL
    return re.split(r"[.:;]", " ".join(results.data.notice.split()))[0]


def legend_of(cells: Iterable[Cell]) -> tuple[Series, ...]:
    """Return the series of the cells' labels, in the order of legends."""
    return ordered(series_of(cell.label, cell.framework) for cell in cells)


def split_by(cells: Iterable[Cell], key: Callable[[Cell], tuple[str | int, ...]]) -> list[list[Cell]]:
    """Return the cells in groups of equal key, with groups in the order of their keys."""
    groups: dict[tuple[str | int, ...], list[Cell]] = {}
    for cell in cells:
        groups.setdefault(key(cell), []).append(cell)
    return [groups[name] for name in sorted(groups)]


def conditions(cell: Cell | CellGroup, *, size: bool = False, batch: bool = False, threads: bool = False) -> str:
    """Return the words that head a panel: "bloodnet, 64x64, batch 1, 2 threads", as far as they are asked for."""
    parts = [cell.architecture]
    parts += [pixels(cell.size)] if size else []
    parts += [f"batch {cell.batch}"] if batch else []
    parts += [f"{cell.threads} thread{'s' if cell.threads != 1 else ''}"] if threads else []
    return ", ".join(parts)


def training_of(results: Results, weights: str) -> Training | None:
    """Return the training that made these weights."""
    return next((training for training in results.trainings if training.weights == weights), None)


def agreement_fails(cell: Cell, results: Results) -> bool:
    """Return whether the cell's own output, or the file it ran, was found not to agree."""
    if cell.agreement is not None and not cell.agreement.passed:
        return True
    return any(not agreement.passed for agreement in agreements_of_export(cell, results))


def agreements_of_export(cell: Cell, results: Results) -> list[Agreement]:
    """Return every comparison with the reference of the file that the cell ran; none for a native cell, and none for a
    right file that only some optimisation level of ONNX Runtime gets wrong, which is the runtime's own fault.
    """
    exports = [one for one in results.exports if is_file_of(one, cell) and not one.file_is_right]
    return [agreement for export in exports for agreement in export.agreement]


def median_of(cell: Cell) -> Interval:
    """Return the median host time of a timed cell, in milliseconds."""
    assert cell.host is not None
    return cell.host.median_ms


def fastest_files(cells: Iterable[Cell]) -> list[Cell]:
    """Return the fastest of these timed cells for each runtime and size, so that five exports do not fill a chart."""
    best: dict[tuple[str, int], Cell] = {}
    for cell in cells:
        key = (cell.runtime, cell.size)
        if key not in best or median_of(cell).value < median_of(best[key]).value:
            best[key] = cell
    return [best[key] for key in sorted(best)]
