"""The plain task: plain numbers, only compared with float64. Every other task has this comparison too."""

from __future__ import annotations

from assay.bench.tasks.task import Task
from assay.bench.words.numbers import counted
from assay.records.results import Agreement


class Numerical(Task):
    """The task that decides nothing. A change of the largest number is mentioned where an output is a row of
    numbers.
    """

    name = "numerical"
    changed_heading = "Largest moved"
    chart_note = "largest number moved"

    def agrees_though(self, worst: Agreement) -> str:
        return f"another number is the largest in {worst.largest_moved} of {counted(worst.images, 'row')}"


TASK = Numerical()
