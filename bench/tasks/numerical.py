"""The plain task: plain numbers, only compared with float64. Every other task has this comparison too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from assay.bench.tasks.decisions import quality_in_words, told_alike
from assay.bench.tasks.task import Task, labelled_sections
from assay.bench.words.numbers import counted
from assay.records.results import Agreement, Results

if TYPE_CHECKING:
    from assay.bench.report.evidence import Evidence
    from assay.bench.report.page.blocks import Section


class Numerical(Task):
    """The task that decides nothing. A change of the largest number is mentioned where an output is a row of
    numbers.
    """

    name = "numerical"
    changed_heading = "Largest moved"
    chart_note = "largest number moved"

    def agrees_though(self, worst: Agreement) -> str:
        return f"another number is the largest in {worst.largest_moved} of {counted(worst.images, 'row')}"

    def told(self, results: Results) -> list[str]:
        return told_alike(results, lambda found: "; ".join(map(quality_in_words, found.qualities)))

    def sections(self) -> Sequence[Callable[[Evidence], Section | None]]:
        return labelled_sections()


TASK = Numerical()
