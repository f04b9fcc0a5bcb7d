"""Section on the layers that may not be int8: the cost in time and the gain in accuracy of each step towards fp32."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from assay.bench.report.drawing.charts import Plot, Row, Scale, lines, notes
from assay.bench.report.drawing.palette import Series
from assay.bench.report.evidence import Evidence, chart_notice, worded_columns
from assay.bench.report.page.blocks import Figure, Panel, Paragraphs, Section, Table, Value, headings
from assay.bench.report.page.values import amount
from assay.bench.words.numbers import counted, duration, listed, pixels, significant
from assay.records.localisation import LayerSearch, Tried
from assay.records.results import Export

FAILS = Series("fails its policy", "", "@bad", "cross", (2, 2))
PASSES = Series("passes", "", "@good", "circle", (1, 0))
STEPS = headings("File | # Layers in fp32 | Layers added | # Error, % | # Right, % | # A call, ms | Policy")
SENSITIVITIES = headings("Layer | File | # Error with it alone in int8, %")
MOST_SENSITIVE, MOST_NAMED = 8, 4
ENDED = {
    "minimal": "With any one of them in int8 again it fails",
    "passes": "The time ran out before each of them had been tried in int8 again",
    "time": "The time ran out before a passing set was found; this is the best one found",
    "nothing": "No set makes it pass; this is the best one found",
}
"""Descriptions of the set that a search gave, by how the search ended."""


@dataclass(frozen=True)
class _Found:
    """One search, and its place among the exports."""

    export: Export
    search: LayerSearch
    place: int

    @property
    def file(self) -> str:
        size = f" at {pixels(self.export.size)}" if self.export.size else ""
        return f"{self.export.architecture}{size}, {self.export.exporter}"


def layers_not_in_int8(evidence: Evidence) -> Section | None:
    """Show every search, its steps and the most sensitive layers."""
    found = [
        _Found(export, export.search, place)
        for place, export in enumerate(evidence.results.exports)
        if export.search is not None
    ]
    if not found:
        return None
    panels = tuple(panel for place, one in enumerate(found) if (panel := _panel(evidence, one, place + 1)))
    caption = (
        "Loss against the time of a call, from int8 through files with more and more layers in fp32 to fp32. With "
        "one record per call, one thread and all files in turn in one process, this is a guide; cells are timed in "
        "separate processes."
    )
    steps = tuple(row for one in found for row in _step_rows(one))
    layers = tuple(row for one in found for row in _layer_rows(one))
    lead = (
        "If int8 fails its policy, the fewest layers with which it passes are left in fp32. A layer's sensitivity is "
        "the error of the outputs with only that layer in int8."
    )
    return Section(
        "mixed",
        "Layers that must not be int8",
        lead,
        (
            Paragraphs(tuple(search_in_words(one.file, one.search) for one in found)),
            *((Figure("mixed", caption, panels, (FAILS, PASSES)),) if panels else ()),
            Table("mixed-steps", "Every step", worded_columns(STEPS, evidence.results), steps, sortable=False),
            Table(
                "mixed-layers", "The most sensitive layers", SENSITIVITIES, layers, summary="The most sensitive layers"
            ),
        ),
    )


def search_in_words(file: str, search: LayerSearch) -> str:
    """Say which file failed, which layers were found, and how certain that is."""
    left = search.found.left
    names = [*left[:MOST_NAMED], *([f"{len(left) - MOST_NAMED} more"] if len(left) > MOST_NAMED else [])]
    which = f" ({listed(names)})" if names else ""
    does = "passes" if search.found.passed else f"fails still: {search.found.reason}"
    unranked = search.layers - len(search.sensitivities)
    not_ranked = f", {unranked} not ranked," if unranked else ""
    return (
        f"{file}: int8 fails, {search.why}. With {len(left)} of {counted(search.layers, 'layer')}{not_ranked} in fp32"
        f"{which} it {does}. {ENDED[search.ended]}; {counted(search.tries, 'file')} tried in "
        f"{duration(search.seconds)}, judged on {search.judged_on}."
    )


def _all(search: LayerSearch) -> list[Tried]:
    return [*search.steps, search.full]


def _panel(evidence: Evidence, one: _Found, number: int) -> Panel | None:
    """Draw a search's steps, or return None where none was timed."""
    timed = [step for step in _all(one.search) if step.milliseconds is not None]
    if len(timed) < 2:
        return None
    by_quality = all(step.quality is not None for step in timed)
    measure = "right decisions lost, points" if by_quality else "root-mean-square error, %"
    plot = Plot(
        title=one.file,
        measure=measure,
        notice=chart_notice(evidence.results),
        rows=[_point(step, one.search, by_quality=by_quality) for step in timed],
        series=(FAILS, PASSES),
    )
    first, last = timed[0], timed[-1]
    description = (
        f"{one.file}: {measure} against the time of a call, from int8 ({significant(first.milliseconds or 0)} ms) to "
        f"fp32 ({significant(last.milliseconds or 0)} ms) in {len(timed)} steps."
    )
    x = Scale("milliseconds", "a call, ms")
    return Panel(f"mixed-{number}", lines(plot, x, Scale("lost", from_zero=not by_quality)), description)


def _point(step: Tried, search: LayerSearch, *, by_quality: bool) -> Row:
    series = PASSES if step.passed else FAILS
    lost = 100 * step.error
    if by_quality:
        lost = 100 * ((search.full.quality or 0.0) - (step.quality or 0.0))
    return {
        "label": series.label,
        "family": series.family,
        "line": series.label,
        "milliseconds": step.milliseconds,
        "lost": lost,
        "notes": notes(
            ("", _file_of(step, search)),
            ("a call", f"{significant(step.milliseconds or 0)} ms"),
            ("lost", significant(lost)),
            ("policy", step.reason or "passes"),
        ),
    }


def _file_of(step: Tried, search: LayerSearch) -> str:
    if step is search.full:
        return "fp32"
    return f"{len(step.left)} of {search.layers} layers in fp32" if step.left else "int8"


def _step_rows(one: _Found) -> Iterator[tuple[Value, ...]]:
    before: Sequence[str] = ()
    for number, step in enumerate(_all(one.search)):
        full = step is one.search.full
        path = f"/exports/{one.place}/search/" + ("full" if full else f"steps/{number}")
        added = [] if full else [name for name in step.left if name not in before]
        more = [f"{len(added) - MOST_NAMED} more"] if len(added) > MOST_NAMED else []
        before = step.left
        yield (
            Value(f"{one.file}: {'fp32' if full else 'int8' if not step.left else 'mixed'}"),
            Value("all" if full else str(len(step.left)), one.search.layers if full else len(step.left)),
            Value(", ".join([*added[:MOST_NAMED], *more])),
            amount(step.error, f"{path}/error", factor=100),
            amount(step.quality, f"{path}/quality", factor=100),
            amount(step.milliseconds, f"{path}/milliseconds"),
            Value("passes", tone="good") if step.passed else Value(step.reason, tone="bad"),
        )


def _layer_rows(one: _Found) -> Iterator[tuple[Value, ...]]:
    for name, error in list(one.search.sensitivities.items())[:MOST_SENSITIVE]:
        yield (Value(name), Value(one.file), amount(100 * error))
