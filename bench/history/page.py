"""A history as a page, Markdown and figures, made of the same parts as a report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from assay.bench.comparing.files import sentence
from assay.bench.history.record import HISTORY_FILE, History, RunChange, RunSeries
from assay.bench.report.drawing import palette
from assay.bench.report.drawing.charts import SMALL_PANEL_HEIGHT_PX, Plot, Row, Scale, lines, notes
from assay.bench.report.drawing.figures import write_figures
from assay.bench.report.page.blocks import (
    Column,
    Figure,
    Item,
    Listing,
    Panel,
    Paragraphs,
    Section,
    Table,
    Tone,
    Value,
    headings,
    without_empty_columns,
)
from assay.bench.report.page.page import Masthead, render_sections, render_sections_as_markdown
from assay.bench.statistics.change import LEVEL, least_values
from assay.bench.words.numbers import counted, difference, interval, listed, moment, points, ratio, scaled, significant
from assay.registry import RUNTIMES
from assay.store import write_atomically

MOST_COLUMNS = 8
"""The newest runs, which a table shows; all are in the record."""
TONES: dict[str, Tone] = {"faster": "good", "higher": "good", "slower": "bad", "lower": "bad", "undecided": "muted"}
CHANGED = ("faster", "slower", "higher", "lower")
HOW = (
    "A ratio is that of the medians of two runtimes that were timed in turns in one run, with its 95 % interval over "
    "processes. Ratios of runs on different kinds of machines are shown and not judged.",
    "A change from one run to the next is the quotient of their ratios, with Welch's interval. Verdicts are corrected "
    "for the number of changes (Holm), and same means within 2 %. A change has every cause in which the two runs "
    "differ, of which the versions are one. Where versions are timed in turns (assay compare --env), only they differ.",
    f"Change points are searched in series of at least {least_values()} runs (E-Divisive: the energy distance, with a "
    "permutation test), corrected for the number of series (Holm). With fewer runs, not even the clearest order of "
    "values is too rare to be chance: two runs are never a trend.",
    "Accuracies are those of one recipe on the same test images, with Wilson's interval. A change of them has "
    "Newcombe's interval, which is not corrected for their number.",
)


def write_history(history: History, out: Path) -> list[Path]:
    """Write history.json, report.html, report.md and figures into a folder, and return the files.

    Raises:
        DiskError: the folder cannot be written.
    """
    sections = sections_of(history)
    studies = listed(list(dict.fromkeys(run.study for run in history.runs)))
    head = Masthead(
        kicker="history",
        title=f"History of {studies}" if studies else "Versions in turns",
        created=history.created,
        assay_version=history.assay_version,
        extent=f"{counted(len(history.runs), 'run')}, {len(history.series)} series",
        subject="Written",
        record=HISTORY_FILE,
        beside=f"figures, {HISTORY_FILE}",
    )
    contents = {
        HISTORY_FILE: history.model_dump_json(indent=1),
        "report.html": render_sections(head, sections, history.model_dump(mode="json")),
        "report.md": render_sections_as_markdown(head, sections),
    }
    for name, text in contents.items():
        write_atomically(out / name, text.encode())
    return [*(out / name for name in contents), *write_figures(sections, out / "figures")]


def sections_of(history: History) -> list[Section]:
    """Return every section, in order; those that would be empty are left out."""
    latencies, qualities = ([one for one in history.series if one.kind == kind] for kind in ("latency", "accuracy"))
    found = [
        _verdict(history),
        _turns(history),
        _series_section(history, latencies, "latency", "Ratios of times"),
        _series_section(history, qualities, "accuracy", "Accuracy"),
        _runs(history),
    ]
    return [section for section in found if section is not None]


def spoken(history: History) -> list[str]:
    """Return the history in sentences, for the terminal and the top of the page."""
    long = [one for one in history.series if len(one.points) >= least_values()]
    cuts = sum(len(one.changes) for one in long)
    needed = least_values(LEVEL / max(len(long), 1))
    found = [f"{len(long)} series of {least_values()} runs or more: {counted(cuts, 'change point')}."]
    if not long:
        found = [f"No series has {least_values()} runs, the fewest that can show a change point."]
    elif needed > max(len(one.points) for one in long):
        found = [f"{found[0]} Among so many series, a change in a single one can be shown from {needed} runs on."]
    steps = [step for one in history.series for step in one.steps]
    if steps:
        counts = {name: sum(step.verdict == name for step in steps) for name in dict.fromkeys(s.verdict for s in steps)}
        told = listed([f"{number} {name}" for name, number in counts.items()])
        found.append(f"{counted(len(steps), 'change')} from one run to the next: {told}.")
    again = [step for step in steps if not step.packages and step.verdict in {"faster", "slower", "same", "undecided"}]
    if again:
        largest = max(abs(step.change.value - 1) for step in again)
        found.append(
            f"{len(again)} of them are between runs with the same packages; the largest is {difference(largest)}, and "
            "no version explains it."
        )
    return [*found, *(f"{one.new} against {one.base}, in turns: {sentence(one)}" for one in history.turns)]


def _verdict(history: History) -> Section:
    items = [
        *(
            Item(
                f"{_subject(one)} changes at run {cut.run + 1}: {_number(one, cut.before)} before, "
                f"{_number(one, cut.after)} from then on.",
                "change point",
                "notice",
                f"p = {significant(cut.p_value, 2)}.",
            )
            for one in history.series
            for cut in one.changes
        ),
        *(
            Item(
                f"{_subject(one)}: {_change(one, step)} from run {step.before + 1} to {step.after + 1}.",
                step.verdict,
                TONES[step.verdict],
                _versions(step),
            )
            for one in history.series
            for step in one.steps
            if step.verdict in CHANGED
        ),
    ]
    changed = [Listing("What changed", tuple(items))] if items else []
    how = Listing("How to read this", tuple(map(Item, HOW)))
    return Section("verdict", "What changed", "", (Paragraphs(tuple(spoken(history))), *changed, how))


def _turns(history: History) -> Section | None:
    rows = tuple(
        (
            Value(listed([f"{name} {old} to {new}" for name, (old, new) in outcome.versions.items()])),
            Value(change.name),
            Value(ratio(change.ratio) if change.ratio else "", change.ratio.value if change.ratio else None),
            Value(change.verdict, tone=TONES.get(change.verdict, "")),
            Value(change.reason),
        )
        for outcome in history.turns
        for change in outcome.changes
    )
    columns = headings("Versions | Cell | # New over old | Verdict | Reason")
    table = Table("turns", "Each cell in both environments", columns, rows)
    lead = "Two environments on the same weights and files, timed in turns in the same blocks."
    return Section("turns", "Versions in turns", lead, (without_empty_columns(table),)) if rows else None


def _series_section(history: History, some: Sequence[RunSeries], identifier: str, title: str) -> Section | None:
    if not some:
        return None
    shown = [place for place in range(len(history.runs)) if any(place in one.points for one in some)][-MOST_COLUMNS:]
    columns = (
        *headings("Case | What | Over"),
        *(Column(f"Run {place + 1}", numeric=True) for place in shown),
        *headings("# Last change | Verdict | Versions"),
    )
    several, single = ([one for one in some if (len(one.points) > 1) is wanted] for wanted in (True, False))
    tables = [
        without_empty_columns(
            Table(f"{identifier}-{name}", caption, columns, tuple(tuple(_row(one, shown)) for one in mine), summary)
        )
        for name, caption, mine, summary in (
            ("series", "Each that more than one run has", several, ""),
            ("single", "Those of one run", single, f"{len(single)} series of one run"),
        )
        if mine
    ]
    figures = [_figure(several, identifier)] if several else []
    return Section(identifier, title, "", (*figures, *tables))


def _row(one: RunSeries, shown: Sequence[int]) -> Iterator[Value]:
    yield Value(one.subject)
    yield Value(one.label)
    yield Value(one.over)
    for place in shown:
        point = one.points.get(place)
        if point is None:
            yield Value("")
        else:
            yield Value(ratio(point) if one.kind == "latency" else f"{points(point)} %", point.value)
    last = one.steps[-1] if one.steps else None
    yield Value(_change(one, last), last.change.value) if last else Value("")
    yield Value(last.verdict, tone=TONES.get(last.verdict, "")) if last else Value("one run", tone="muted")
    yield Value(_versions(last)) if last else Value("")


def _figure(some: Sequence[RunSeries], identifier: str) -> Figure:
    subjects = dict.fromkeys(one.subject for one in some)
    panels = tuple(
        _panel([one for one in some if one.subject == subject], f"{identifier}-{number}")
        for number, subject in enumerate(subjects, start=1)
    )
    ratios = "Ratios of medians, with 95 % intervals, over the runs." if identifier == "latency" else ""
    caption = ratios or "Test accuracy, with 95 % intervals, over the runs."
    return Figure(identifier, caption, panels, palette.ordered(map(_look, some)), small=True)


def _panel(some: Sequence[RunSeries], identifier: str) -> Panel:
    first = some[0]
    is_latency = first.kind == "latency"
    measure = f"time over {first.over}" if is_latency else "test accuracy, %"
    rows = [row for one in some for row in _rows(one)]
    plot = Plot(first.subject, measure, "", rows, palette.ordered(map(_look, some)), SMALL_PANEL_HEIGHT_PX)
    description = f"{first.subject}: {measure} of {listed([one.label for one in some])} by run."
    runs = Scale("run", "run", ticks=tuple(sorted({float(str(row["run"])) for row in rows})))
    return Panel(identifier, lines(plot, runs, Scale("value", log=is_latency)), description)


def _look(one: RunSeries) -> palette.Series:
    entry = RUNTIMES.find(one.label.partition("@")[0])
    if one.kind == "accuracy":
        return palette.framework_series([one.label])[0]
    return palette.series_of(one.label, entry.family.framework if entry else "")


def _rows(one: RunSeries) -> list[Row]:
    factor, look = (1 if one.kind == "latency" else 100), _look(one)
    return [
        {
            "label": look.label,
            "family": look.family,
            "line": f"{one.subject} {one.label}",
            "run": place + 1,
            "value": point.value * factor,
            "low": point.low * factor,
            "high": point.high * factor,
            "notes": notes(("", f"{one.label}, run {place + 1}"), ("", interval(scaled(point, factor)))),
        }
        for place, point in one.points.items()
    ]


def _runs(history: History) -> Section | None:
    names = dict.fromkeys(name for run in history.runs for name in run.packages)
    columns = (*headings("# Run | Date | Folder | Study | Machine | Assay"), *(Column(name) for name in names))
    rows = tuple(
        (
            Value(str(place), place),
            Value(moment(run.created, time=True)),
            Value(run.folder),
            Value(run.study),
            Value(run.machine),
            Value(run.assay_version),
            *(Value(run.packages.get(name, "")) for name in names),
        )
        for place, run in enumerate(history.runs, start=1)
    )
    table = Table("runs", "The runs, the oldest first", columns, rows)
    return Section("runs", "Runs", "", (table,)) if rows else None


def _subject(one: RunSeries) -> str:
    return f"{one.subject}: {one.label}{f' over {one.over}' if one.over else ''}"


def _number(one: RunSeries, value: float) -> str:
    return significant(value) if one.kind == "latency" else f"{significant(100 * value, 4)} %"


def _change(one: RunSeries, step: RunChange) -> str:
    if one.kind == "latency":
        return ratio(step.change)
    return f"{interval(scaled(step.change, 100))} points"


def _versions(step: RunChange) -> str:
    return listed([f"{name} {old} to {new}" for name, (old, new) in step.packages.items()]) or "the same versions"
