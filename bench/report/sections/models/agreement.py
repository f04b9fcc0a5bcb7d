"""Section on agreement: how far every export and every runtime is from the float64 reference."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

from assay.bench.report.drawing.charts import Plot, Row, Scale, dots, notes
from assay.bench.report.drawing.palette import Series, families_of, ordered, series_of
from assay.bench.report.evidence import Evidence, chart_notice, worded, worded_columns
from assay.bench.report.page.blocks import Column, Figure, Panel, Section, Table, Value, headings
from assay.bench.report.page.values import tiny, whole
from assay.bench.tasks.task import Task, task_of
from assay.bench.words.numbers import count, counted, pixels, scientific
from assay.records.results import Agreement, Results
from assay.runtimes.ort import CPU

TOLERATED = "Tolerated"
CHANGED = "changed"
"""Placeholder for the task's own word."""
COLUMNS = (
    *headings(
        f"Subject | Architecture | # Image size, px | # Batch | Agrees | # Largest error | # {TOLERATED} | "
        "# Relative error"
    ),
    Column(CHANGED, numeric=True),
    *headings("# Images | Reason"),
)


@dataclass(frozen=True)
class AgreementRow:
    """One comparison with the reference, its model, and the places in results.json where it and its changes stand.

    Attributes:
        changed: number of decisions that differ, of `decisions`; None where nobody counted them.
    """

    agreement: Agreement
    architecture: str
    size: int
    batch: int | None
    series: Series
    path: str
    changed: int | None
    decisions: int
    path_of_changed: str


def agreement(evidence: Evidence) -> Section | None:
    """Show the largest error of each export and runtime against its tolerance, and every comparison in a table."""
    subjects = list(_subjects(evidence))
    if not subjects:
        return None
    compared = [subject for subject in subjects if subject.agreement.max_absolute >= 0]
    architectures = sorted({subject.architecture for subject in compared})
    panels = tuple(
        _panel(evidence, [s for s in compared if s.architecture == name], f"agreement-{number}")
        for number, name in enumerate(architectures, start=1)
    )
    caption = worded(
        "Largest difference of any logit from the float64 reference, on a logarithmic axis: the worst comparison of "
        "each file and each runtime at each size, larger marks for larger images. "
        "Red ticks: the tolerance there.",
        evidence.results,
    )
    legend = families_of(subject.series for subject in compared)
    figures = (Figure("agreement", caption, panels, legend, named=True, legend_in_file=False),) if panels else ()
    outcome = _outcome(subjects, task_of(evidence.results))
    lead = f"{outcome} Tolerances are derived from the differences of correct native runs, not chosen."
    return Section(
        "agreement", "Agreement", lead, (*figures, _table(subjects, evidence.results), _derivations(subjects))
    )


def _subjects(evidence: Evidence) -> Iterator[AgreementRow]:
    for index, export in enumerate(evidence.results.exports):
        series = series_of(f"{CPU.name}@{export.exporter}", CPU.framework)
        shown = replace(series, label=f"{export.exporter} file")
        for number, agreement in enumerate(export.agreement):
            path = f"/exports/{index}/agreement/{number}"
            counted_here = agreement.largest_moved if task_of(evidence.results).is_counted_in_agreement else None
            changed = (counted_here, agreement.images, f"{path}/largest_moved")
            yield AgreementRow(agreement, export.architecture, export.size, None, shown, path, *changed)
    for index, cell in enumerate(evidence.results.cells):
        if cell.agreement is not None:
            series = series_of(cell.label, cell.framework)
            path = f"/cells/{index}/agreement"
            changed = (cell.agreement.largest_moved, cell.agreement.images, f"{path}/largest_moved")
            if cell.judgement and cell.judgement.flips.decisions:
                flips = cell.judgement.flips
                changed = (flips.flipped, flips.decisions, f"/cells/{index}/judgement/flips/flipped")
            yield AgreementRow(cell.agreement, cell.architecture, cell.size, cell.batch, series, path, *changed)


def _outcome(subjects: list[AgreementRow], task: Task) -> str:
    failed = [subject for subject in subjects if not subject.agreement.passed]
    changed = task.changed_in_all(sum(subject.changed or 0 for subject in subjects))
    if failed:
        return f"{len(failed)} of {counted(len(subjects), 'comparison')} FAILED{changed}."
    return f"All {counted(len(subjects), 'comparison')} with the reference agree{changed}."


def _panel(evidence: Evidence, subjects: list[AgreementRow], identifier: str) -> Panel:
    worst: dict[tuple[str, int], AgreementRow] = {}
    for subject in subjects:
        key = (subject.series.label, subject.size)
        if key not in worst or _excess(subject) > _excess(worst[key]):
            worst[key] = subject
    positive = [s.agreement.max_absolute for s in worst.values() if s.agreement.max_absolute > 0]
    least_shown = min(positive, default=1e-9) / 3
    series = _in_order(subjects)
    moved = task_of(evidence.results).chart_note
    rows = [_row(subject, least_shown, moved) for subject in worst.values()]
    title = subjects[0].architecture
    measure = worded("Largest error of a logit", evidence.results)
    plot = Plot(title, measure, chart_notice(evidence.results), rows, series)
    most = max(worst.values(), key=_excess)
    description = (
        f"{title}: largest error against tolerance for {len(series)} runtimes and files. Closest to its "
        f"limit is {most.series.label} at {pixels(most.size)}, {scientific(most.agreement.max_absolute)} of "
        f"{scientific(most.agreement.tolerance)}."
    )
    x = Scale("error", log=True, format=".0e")
    return Panel(identifier, dots(plot, [entry.label for entry in series], x, size_field="size"), description)


def _in_order(subjects: list[AgreementRow]) -> tuple[Series, ...]:
    """Return runtimes in the order of legends, then files."""
    runtimes = ordered(subject.series for subject in subjects if subject.batch is not None)
    files = {subject.series.label: subject.series for subject in subjects if subject.batch is None}
    return (*runtimes, *files.values())


def _excess(subject: AgreementRow) -> float:
    """Return the error as a multiple of the tolerance."""
    return subject.agreement.max_absolute / max(subject.agreement.tolerance, 1e-300)


def _row(subject: AgreementRow, least_shown: float, moved: str) -> Row:
    found = subject.agreement
    row: Row = {
        "name": subject.series.label,
        "label": subject.series.label,
        "family": subject.series.family,
        "size": subject.size,
        "error": max(found.max_absolute, least_shown),
        "notes": notes(
            ("", found.subject),
            ("largest error", scientific(found.max_absolute)),
            ("tolerated", scientific(found.tolerance)),
            *([] if subject.changed is None else [(moved, f"{count(subject.changed)} of {count(subject.decisions)}")]),
            ("at", pixels(subject.size)),
        ),
    }
    return row | {"limit": found.tolerance} if found.tolerance > 0 else row


def _table(subjects: list[AgreementRow], results: Results) -> Table:
    failed_first = sorted(subjects, key=lambda subject: subject.agreement.passed)
    has_own = any(subject.agreement.own_tolerance is not None for subject in subjects)
    rows = tuple(_table_row(subject, has_own=has_own) for subject in failed_first)
    caption = "Every comparison with the float64 reference, those that failed first"
    heading = task_of(results).changed_heading
    named = [replace(one, heading=heading) if one.heading == CHANGED else one for one in COLUMNS]
    place = next(index for index, one in enumerate(named) if one.heading == TOLERATED) + 1
    named[place:place] = [Column("Your own tolerance", numeric=True)] if has_own else []
    columns = worded_columns(named, results)
    return Table("agreements", caption, columns, rows, summary=f"All {counted(len(rows), 'comparison')}")


def _table_row(subject: AgreementRow, *, has_own: bool) -> tuple[Value, ...]:
    found, path = subject.agreement, subject.path
    own = found.own_tolerance
    return (
        Value(found.subject),
        Value(subject.architecture),
        whole(subject.size),
        Value("" if subject.batch is None else str(subject.batch), subject.batch),
        Value("yes", tone="good") if found.passed else Value("NO", tone="bad"),
        _error(found.max_absolute, f"{path}/max_absolute"),
        tiny(found.tolerance, f"{path}/tolerance"),
        *((Value("") if own is None else tiny(own, f"{path}/own_tolerance"),) if has_own else ()),
        _error(found.max_relative, f"{path}/max_relative"),
        Value("" if subject.changed is None else count(subject.changed), subject.changed, subject.path_of_changed),
        whole(found.images, f"{path}/images"),
        Value(found.reason),
    )


def _error(value: float, path: str) -> Value:
    """Return an error, or a note that nothing could be compared, which the record writes as -1."""
    return Value("not compared", tone="muted") if value < 0 else Value(scientific(value), value, path)


def _derivations(subjects: list[AgreementRow]) -> Table:
    texts = Counter(subject.agreement.derivation for subject in subjects if subject.agreement.derivation)
    rows = tuple((Value(text), whole(uses)) for text, uses in texts.items())
    columns = headings("Derivation | # Comparisons")
    caption = "Derivation of the tolerances"
    return Table("derivations", caption, columns, rows, summary="How the tolerances were derived")
