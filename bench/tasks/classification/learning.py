"""Sections on the course of training: its curves, and how closely the frameworks follow one another."""

from __future__ import annotations

from assay.bench.report.drawing.charts import SMALL_PANEL_HEIGHT_PX, Plot, Row, Scale, lines, notes
from assay.bench.report.drawing.palette import family_of, framework_series
from assay.bench.report.evidence import Evidence, chart_notice
from assay.bench.report.page.blocks import Figure, Panel, Section, Table, Value, headings
from assay.bench.report.page.values import tiny, whole
from assay.bench.words.numbers import counted, pixels, scientific, significant
from assay.records.trainings import Parity, Training


def curves(evidence: Evidence) -> Section | None:
    """Draw the validation accuracy over the epochs, one panel for each architecture and size."""
    trainings = [one for one in evidence.results.trainings if len(one.history) > 1 and not one.changed]
    if not trainings:
        return None
    keys = sorted({(training.architecture, training.size) for training in trainings})
    panels = tuple(
        _curve_panel(evidence, [t for t in trainings if (t.architecture, t.size) == key], f"curves-{number}")
        for number, key in enumerate(keys, start=1)
    )
    caption = "Validation accuracy after each evaluation; one line for each framework and seed."
    figure = Figure("curves", caption, panels, framework_series(t.framework for t in trainings), small=True)
    return Section("curves", "Training curves", "How training reached the accuracy above.", (figure,))


def parity(evidence: Evidence) -> Section | None:
    """Draw the loss of the frameworks step by step, from the same start over the same batches."""
    records = [record for record in evidence.results.parity if record.losses]
    if not records:
        return None
    panels = tuple(_parity_panel(evidence, record, f"parity-{n}") for n, record in enumerate(records, start=1))
    frameworks = [name for record in records for name in record.losses]
    caption = (
        "Training loss of each step. The lines are drawn inside one another: where all are visible, they coincide."
    )
    figure = Figure("parity", caption, panels, framework_series(frameworks), small=True)
    worst = max(record.worst_relative_difference for record in records)
    lead = (
        "The same initial weights and the same batches in each framework: the losses should agree up to rounding. "
        f"The worst relative difference between two frameworks is {scientific(worst)}."
    )
    columns = headings("Architecture | # Image size, px | # Steps | # Worst relative difference")
    rows = tuple(_parity_table_row(index, record) for index, record in enumerate(evidence.results.parity))
    table = Table("parity-worst", "Largest relative difference of two frameworks' losses at any step", columns, rows)
    return Section("parity", "Training parity", lead, (figure, table))


def _curve_panel(evidence: Evidence, trainings: list[Training], identifier: str) -> Panel:
    first = trainings[0]
    title = f"{first.architecture}, {pixels(first.size)}"
    rows = [row for training in trainings for row in _curve_rows(training)]
    series = framework_series(training.framework for training in trainings)
    notice = chart_notice(evidence.results)
    plot = Plot(title, "Validation accuracy, %", notice, rows, series, SMALL_PANEL_HEIGHT_PX)
    best = max(trainings, key=lambda training: training.validation_accuracy)
    description = (
        f"{title}: validation accuracy by epoch. The best is {significant(best.validation_accuracy * 100, 4)} % in "
        f"{family_of(best.framework).words} at epoch {significant(best.best_epoch, 2)}."
    )
    return Panel(identifier, lines(plot, Scale("epoch", "epoch"), Scale("value"), points=False), description)


def _curve_rows(training: Training) -> list[Row]:
    framework = family_of(training.framework).words
    return [
        {
            "label": framework,
            "family": framework,
            "line": f"{framework} {training.seed}",
            "epoch": epoch.epoch,
            "value": epoch.validation_accuracy * 100,
            "notes": notes(
                ("", f"{framework}, seed {training.seed}, epoch {epoch.epoch:g}"),
                ("validation accuracy", f"{significant(epoch.validation_accuracy * 100, 4)} %"),
                ("validation loss", significant(epoch.validation_loss)),
                ("training loss", significant(epoch.training_loss)),
            ),
        }
        for epoch in training.history
    ]


def _parity_panel(evidence: Evidence, record: Parity, identifier: str) -> Panel:
    title = f"{record.architecture}, {pixels(record.size)}"
    rows: list[Row] = [
        {
            "label": family_of(name).words,
            "family": family_of(name).words,
            "line": name,
            "step": step,
            "value": loss,
            "notes": notes(("", family_of(name).words), ("step", str(step)), ("loss", significant(loss, 7))),
        }
        for name, losses in record.losses.items()
        for step, loss in enumerate(losses, start=1)
    ]
    series = framework_series(record.losses)
    plot = Plot(title, "Training loss", chart_notice(evidence.results), rows, series, SMALL_PANEL_HEIGHT_PX)
    description = (
        f"{title}: training loss of {counted(len(record.losses), 'framework')} over {counted(record.steps, 'step')}; "
        f"their worst relative difference is {scientific(record.worst_relative_difference)}."
    )
    return Panel(identifier, lines(plot, Scale("step", "step"), Scale("value"), points=False, nested=True), description)


def _parity_table_row(index: int, record: Parity) -> tuple[Value, ...]:
    worst = record.worst_relative_difference
    return (
        Value(record.architecture),
        whole(record.size, f"/parity/{index}/size"),
        whole(record.steps, f"/parity/{index}/steps"),
        tiny(worst, f"/parity/{index}/worst_relative_difference"),
    )
