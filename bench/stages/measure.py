"""The path from groups to cells for all models: timed, compared and judged, with the reason of each missing time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from assay.bench.auditing.cells import Compared
from assay.bench.course import Course
from assay.bench.judging.summary import blank_cell, cells_of
from assay.bench.judging.validity import judged, to_time_again
from assay.bench.machine.quiet import say_if_busy
from assay.bench.timing.measurements import Measurements
from assay.bench.timing.schedule import Budget, measure
from assay.bench.timing.trials import Group
from assay.bench.timing.unfinished import mark
from assay.bench.timing.workers import Candidate
from assay.bench.words.names import EXPORT_FAILED
from assay.records.results import Cell, Export
from assay.store import Store

INTERRUPTED = (
    "Interrupted: timed results are kept, and the report covers them. The same command goes on from here; Ctrl-C "
    "again ends it now"
)


def measured_cells(
    course: Course,
    groups: list[Group],
    budget: Budget,
    units: Store,
    keys: dict[str, str],
    compare: Callable[[Measurements], Compared],
    *,
    again: bool,
    show: Callable[[list[Cell]], None] | None = None,
) -> tuple[Measurements, list[Cell]]:
    """
    Args:
        units: store of finished units.
        keys: key of the weights, by group.
        compare: comparison of the outputs.
        again: whether results timed by an earlier run are timed once more.
        show: receiver of all cells so far, whenever a process of each has been timed.
    """

    def shown(so_far: Measurements) -> None:
        if show:
            show(cells_of(groups, so_far.facts, so_far.samples, {}, keys, so_far.planned))

    with course.stage("timing", f"Timing, at most {budget.seconds / 60:g} minutes"):
        cores = sorted({core for group in groups for core in group.settings.cores})
        look = partial(say_if_busy, course.host, cores, course.narrator.note)
        measured = measure(
            groups,
            budget,
            units,
            course.narrator.tell,
            course.host,
            again=again,
            before_first=look,
            after_unit=shown if show else None,
        )
        if measured.seconds:
            calls, share = measured.timed_seconds, measured.timed_seconds / measured.seconds
            course.narrator.note(f"{calls:.0f} of {measured.seconds:.0f} s were timed calls ({share:.0%})")
        if measured.interrupted:
            course.narrator.note(INTERRUPTED)
    with course.stage("audit", "Comparing numbers"):
        agreements, timed = compare(measured)
    found = cells_of(groups, measured.facts, measured.samples, agreements, keys, measured.planned)
    cells = judged(found, measured, timed)
    mark(measured.units, to_time_again(cells))
    return measured, cells


def cells_without_file(group: Group, exports: Iterable[Export], runtimes: Callable[[Export], list[str]]) -> list[Cell]:
    """Return the cells that would have run failed exports of the group's model.

    Args:
        runtimes: returns the runtimes that would have run one.
    """
    return [
        blank_cell(
            group, batch, Candidate(runtime, export.exporter, group.candidates[0].model), export.weights
        ).model_copy(
            update={"reason": export.reason}
            if export.file_is_right
            else {"reason": f"{EXPORT_FAILED}: {export.reason}", "lacks": "file"}
        )
        for export in exports
        if export.status == "failed"
        for batch in group.batches
        for runtime in runtimes(export)
    ]
