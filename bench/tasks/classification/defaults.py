"""Section on the constants that frameworks have different defaults for: what each of them alone does to accuracy.

A training with one constant changed has the same initial weights (unless the initialiser is what is changed) and the
same batches as the one of the study's recipe with its seed, so that differences are paired by seed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from assay.bench.report.drawing.charts import SMALL_PANEL_HEIGHT_PX, Plot, Row, Scale, lines, notes
from assay.bench.report.drawing.palette import DASHES, Series, family_of
from assay.bench.report.evidence import Evidence, chart_notice
from assay.bench.report.page.blocks import Column, Figure, Panel, Section, Table, Value, headings
from assay.bench.report.page.values import whole
from assay.bench.tasks.classification.trained import mean_over_seeds
from assay.bench.words.numbers import interval, listed, pixels, significant
from assay.records.trainings import Training
from assay.train.recipe import frameworks_with

NONE, ONE = "the study's recipe", "one constant changed"


@dataclass(frozen=True)
class Changed:
    """One constant changed in one framework, beside the study's recipe under the same seeds.

    Attributes:
        changed: the constant, such as "norm_momentum=0.99".
        pairs: by seed, the trainings with the study's recipe and with the constant changed.
    """

    changed: str
    pairs: tuple[tuple[Training, Training], ...]

    @property
    def first(self) -> Training:
        return self.pairs[0][1]


def defaults(evidence: Evidence) -> Section | None:
    """Show the accuracy on the way and at the end with one constant changed, less that of the study's recipe."""
    found = list(changed_constants(evidence.results.trainings))
    if not found:
        return None
    lead = (
        "Each training has one constant of the study's recipe changed to the default of a framework. On the way is the "
        "mean validation accuracy over the evaluations before the last. Differences are paired by seed, each with "
        f"Student's 95 % interval over the seeds, not corrected for {len(found)} constants; one seed has no interval."
    )
    names = list(dict.fromkeys(one.first.framework for one in found))
    panels = tuple(_panel(evidence, one, f"defaults-{number}") for number, one in enumerate(found, start=1))
    legend = tuple(series for name in names for series in _series(name))
    caption = "Validation accuracy after each evaluation, with the study's recipe and with one constant changed."
    figure = Figure("defaults", caption, panels, legend, small=True)
    return Section("defaults", "One default at a time", lead, (figure, _differences(found), *_by_epoch(found)))


def changed_constants(trainings: Sequence[Training]) -> Iterator[Changed]:
    """Iterate over the constants that were changed alone, with their pairs of trainings by seed."""
    base = {_place(one): one for one in trainings if not one.changed}
    found: dict[tuple[str, int, str, str], list[tuple[Training, Training]]] = {}
    for one in trainings:
        if one.changed and _place(one) in base:
            key = (one.architecture, one.size, one.framework, one.changed)
            found.setdefault(key, []).append((base[_place(one)], one))
    for key, pairs in found.items():
        yield Changed(key[-1], tuple(pairs))


def on_the_way(training: Training) -> float | None:
    """Return the mean validation accuracy over the evaluations before the last, or None where there is only one."""
    before = [epoch.validation_accuracy for epoch in training.history[:-1]]
    return sum(before) / len(before) if before else None


def _place(training: Training) -> tuple[str, int, str, int]:
    return training.architecture, training.size, training.framework, training.seed


def _differences(found: Sequence[Changed]) -> Table:
    columns = headings(
        "Constant | Default of | Trained in | # Image size, px | # Seeds | # On the way, % | # Difference, points | "
        "# Test accuracy, % | # Test difference, points"
    )
    rows = tuple(
        (
            Value(one.changed),
            Value(listed([family_of(name).words for name in frameworks_with(one.changed)])),
            Value(family_of(one.first.framework).words),
            whole(one.first.size),
            whole(len(one.pairs)),
            *_compared([tuple(map(on_the_way, pair)) for pair in one.pairs]),
            *_compared([tuple(each.test.accuracy.value for each in pair) for pair in one.pairs]),
        )
        for one in found
    )
    return Table("defaults-differences", "Accuracy with one constant changed, mean over seeds", columns, rows)


def _compared(pairs: Sequence[tuple[float | None, ...]]) -> tuple[Value, Value]:
    """Return the mean of the second of each pair, and that of the differences from the first, in points."""
    known = [(100 * base, 100 * changed) for base, changed in pairs if base is not None and changed is not None]
    if not known:
        return Value(""), Value("")
    mean = sum(changed for _, changed in known) / len(known)
    differences = [changed - base for base, changed in known]
    difference = sum(differences) / len(differences)
    estimate = mean_over_seeds(differences)
    told = interval(estimate) if estimate else significant(difference, 2)
    return Value(significant(mean, 4), mean), Value(told, difference)


def _by_epoch(found: Sequence[Changed]) -> Iterator[Table]:
    """Tabulate the accuracy after each evaluation, one table for each model and framework."""
    models: dict[tuple[str, int, str], list[Changed]] = {}
    for one in found:
        models.setdefault((one.first.architecture, one.first.size, one.first.framework), []).append(one)
    for number, ((architecture, size, framework), mine) in enumerate(models.items(), start=1):
        columns = (
            Column("Constant"),
            *(Column(f"Epoch {epoch.epoch:g}, %", numeric=True) for epoch in mine[0].first.history),
        )
        rows = (
            _epochs_row(NONE, [base for base, _ in mine[0].pairs]),
            *(_epochs_row(one.changed, [changed for _, changed in one.pairs]) for one in mine),
        )
        caption = (
            f"{architecture} at {pixels(size)} in {family_of(framework).words}: validation accuracy after each "
            "evaluation, mean over seeds"
        )
        yield Table(f"defaults-epochs-{number}", caption, columns, rows, sortable=False)


def _epochs_row(name: str, trainings: Sequence[Training]) -> tuple[Value, ...]:
    curves = [[100 * epoch.validation_accuracy for epoch in one.history] for one in trainings]
    means = [sum(values) / len(values) for values in zip(*curves, strict=True)]
    return (Value(name), *(Value(significant(mean, 4), mean) for mean in means))


def _panel(evidence: Evidence, one: Changed, identifier: str) -> Panel:
    first = one.first
    series = _series(first.framework)
    rows = [
        row
        for pair in one.pairs
        for entry, training in zip(series, pair, strict=True)
        for row in _rows(training, entry)
    ]
    title = f"{one.changed}, {first.architecture}, {pixels(first.size)}"
    notice = chart_notice(evidence.results)
    plot = Plot(title, "Validation accuracy, %", notice, rows, series, SMALL_PANEL_HEIGHT_PX)
    base, changed = ([on_the_way(each[side]) for each in one.pairs] for side in (0, 1))
    told = ", ".join(
        f"{significant(100 * sum(known) / len(known), 4)} % with {name}"
        for name, values in ((NONE, base), (ONE, changed))
        if (known := [value for value in values if value is not None])
    )
    description = f"{title}: validation accuracy by epoch; on the way it is {told or 'not known'}."
    return Panel(identifier, lines(plot, Scale("epoch", "epoch"), Scale("value"), points=False), description)


def _series(framework: str) -> tuple[Series, Series]:
    family = family_of(framework)
    base, changed = (
        Series(f"{family.words}, {name}", family.words, f"@{family.name}-{shade}", family.looks.shape, DASHES[shade])
        for shade, name in enumerate((NONE, ONE))
    )
    return base, changed


def _rows(training: Training, series: Series) -> list[Row]:
    return [
        {
            "label": series.label,
            "family": series.family,
            "line": f"{training.changed} {training.seed}",
            "epoch": epoch.epoch,
            "value": epoch.validation_accuracy * 100,
            "notes": notes(
                ("", f"{training.changed or NONE}, seed {training.seed}, epoch {epoch.epoch:g}"),
                ("validation accuracy", f"{significant(epoch.validation_accuracy * 100, 4)} %"),
            ),
        }
        for epoch in training.history
    ]
