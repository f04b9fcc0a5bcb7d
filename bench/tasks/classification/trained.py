"""Sections on the trained models: accuracy by resolution, and details class by class."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence

from assay.bench.report.drawing.charts import Plot, Row, Scale, grouped_dots, heat, notes
from assay.bench.report.drawing.palette import family_of, framework_series
from assay.bench.report.evidence import Evidence, chart_notice
from assay.bench.report.page.blocks import Column, Figure, Panel, Section, Table, Value, headings
from assay.bench.report.page.values import amount, estimate, whole
from assay.bench.words.numbers import (
    count,
    counted,
    interval,
    listed,
    moment,
    percent,
    pixels,
    points,
    scaled,
    significant,
)
from assay.numerics.distributions import student_quantile
from assay.records.base import Interval
from assay.records.trainings import Training

CLASS_LETTERS = 14
CONFUSION_LABELS_PX, CONFUSION_COLUMN_PX = 150, 52


def accuracy(evidence: Evidence) -> Section | None:
    """Draw the test accuracy of every training, framework next to framework."""
    trainings = [training for training in evidence.results.trainings if not training.changed]
    if not trainings:
        return None
    architectures = sorted({training.architecture for training in trainings})
    panels = tuple(
        _accuracy_panel(evidence, [t for t in trainings if t.architecture == name], f"accuracy-{number}")
        for number, name in enumerate(architectures, start=1)
    )
    images = counted(max(training.test.count for training in trainings), "test image")
    caption = f"Test accuracy on {images} with 95 % Wilson intervals; one mark for each seed."
    figure = Figure("accuracy", caption, panels, framework_series(t.framework for t in trainings))
    return Section(
        "accuracy",
        "Accuracy by resolution",
        "Every framework starts from the same weights and sees the same batches in the same order.",
        (figure, _means_table(trainings), _trainings_table(evidence), *_sittings_table(evidence)),
    )


def classes(evidence: Evidence) -> Section | None:
    """Show the recall of each class, and the confusion matrix of the best training of each architecture."""
    trainings = [one for one in evidence.results.trainings if one.test.confusion and not one.changed]
    if not trainings:
        return None
    best = [
        max((t for t in trainings if t.architecture == name), key=lambda t: t.validation_accuracy)
        for name in sorted({training.architecture for training in trainings})
    ]
    panels = tuple(_confusion_panel(evidence, training, f"confusion-{n}") for n, training in enumerate(best, start=1))
    caption = (
        "Images of each class (rows) by the class predicted (columns), for the training of each architecture "
        "with the best validation accuracy. Colour is the share of the row."
    )
    blocks = (Figure("confusion", caption, panels), _recall_table(evidence))
    return Section("classes", "Class by class", "Where the errors are.", blocks)


def mean_over_seeds(values: Sequence[float]) -> Interval | None:
    """Return the mean with Student's 95 % interval, or None for fewer than two seeds, which do not show the spread."""
    if len(values) < 2:
        return None
    mean = sum(values) / len(values)
    deviation = math.sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1))
    half_width = student_quantile(len(values) - 1, 0.975) * deviation / math.sqrt(len(values))
    return Interval(value=mean, low=mean - half_width, high=mean + half_width)


def _accuracy_panel(evidence: Evidence, trainings: list[Training], identifier: str) -> Panel:
    rows = [_accuracy_row(training) for training in sorted(trainings, key=_place)]
    architecture = trainings[0].architecture
    series = framework_series(training.framework for training in trainings)
    plot = Plot(architecture, "Test accuracy, %", chart_notice(evidence.results), rows, series)
    best = max(trainings, key=lambda training: training.test.accuracy.value)
    description = (
        f"{architecture}: test accuracy by image size and framework. The best is {percent(best.test.accuracy)} "
        f"at {pixels(best.size)} in {_framework(best)}."
    )
    return Panel(identifier, grouped_dots(plot, Scale("accuracy"), "image size, pixels"), description)


def _place(training: Training) -> tuple[int, int, int]:
    return training.size, family_of(training.framework).place, training.seed


def _accuracy_row(training: Training) -> Row:
    shown = scaled(training.test.accuracy, 100)
    return {
        "group": training.size,
        "place": f"{_framework(training)} {training.seed}",
        "label": _framework(training),
        "family": _framework(training),
        "accuracy": shown.value,
        "low": shown.low,
        "high": shown.high,
        "notes": notes(
            ("", f"{_framework(training)}, seed {training.seed}"),
            ("accuracy", percent(training.test.accuracy)),
            ("at", pixels(training.size)),
        ),
    }


def _means_table(trainings: list[Training]) -> Table:
    """Tabulate the frameworks over the seeds, and whether their gap is within the seeds' spread."""
    frameworks = list(dict.fromkeys(training.framework for training in trainings))
    columns = (
        *headings("Architecture | # Image size, px"),
        *(Column(f"{family_of(framework).words}, %", numeric=True) for framework in frameworks),
        *headings("# Largest gap, points | Within the seeds' intervals? | Seeds"),
    )
    keys = sorted({(training.architecture, training.size) for training in trainings})
    rows = tuple(_means_row(key, trainings, frameworks) for key in keys)
    caption = "Mean test accuracy over seeds, with Student's 95 % interval where there is more than one seed"
    return Table("accuracy-means", caption, columns, rows)


def _means_row(key: tuple[str, int], trainings: list[Training], frameworks: list[str]) -> tuple[Value, ...]:
    these = [training for training in trainings if (training.architecture, training.size) == key]
    by_framework = {
        name: [training.test.accuracy.value * 100 for training in these if training.framework == name]
        for name in frameworks
    }
    means = {name: sum(values) / len(values) for name, values in by_framework.items() if values}
    gap = max(means.values()) - min(means.values())
    seeds = [str(seed) for seed in sorted({training.seed for training in these})]
    return (
        Value(key[0]),
        whole(key[1]),
        *(_mean_value(by_framework[name]) for name in frameworks),
        Value(significant(gap, 2) if len(means) > 1 else "", gap if len(means) > 1 else None),
        _within(by_framework, means),
        Value(listed(seeds)),
    )


def _mean_value(values: list[float]) -> Value:
    if not values:
        return Value("")
    mean = sum(values) / len(values)
    estimate = mean_over_seeds(values)
    if estimate:
        estimate = estimate.model_copy(update={"high": min(estimate.high, 100.0)})
    return Value(interval(estimate, least_digits=3) if estimate else significant(mean, 3), mean)


def _within(by_framework: dict[str, list[float]], means: dict[str, float]) -> Value:
    """Say whether the best and the worst framework differ by less than their seeds' intervals allow."""
    if len(means) < 2:
        return Value("one framework", tone="muted")
    ends = [mean_over_seeds(by_framework[pick(means, key=lambda name: means[name])]) for pick in (min, max)]
    if None in ends:
        return Value("one seed: unknown", tone="muted")
    half_widths = [(end.high - end.low) / 2 for end in ends if end]
    within = max(means.values()) - min(means.values()) <= math.hypot(*half_widths)
    return Value("yes", tone="good") if within else Value("no", tone="bad")


def _trainings_table(evidence: Evidence) -> Table:
    columns = headings(
        "Training | Framework | # Image size, px | # Seed | # Accuracy, % | # Macro AUC | "
        "# Best validation accuracy, % | # Best epoch | # Parameters | # Time, s"
    )
    trainings = evidence.results.trainings
    rows = tuple(_training_row(index, training) for index, training in enumerate(trainings) if not training.changed)
    summary = f"All {counted(len(rows), 'training')}"
    return Table("trainings", "Every training and its test result", columns, rows, summary=summary)


def _training_row(index: int, training: Training) -> tuple[Value, ...]:
    path = f"/trainings/{index}"
    shown = scaled(training.test.accuracy, 100)
    auc = training.test.macro_auc
    return (
        Value(training.architecture),
        Value(_framework(training)),
        whole(training.size, f"{path}/size"),
        whole(training.seed, f"{path}/seed"),
        Value(points(training.test.accuracy), shown.value, f"{path}/test/accuracy/value", 100),
        estimate(auc, f"{path}/test/macro_auc"),
        amount(training.validation_accuracy, f"{path}/validation_accuracy", factor=100, digits=4),
        amount(training.best_epoch, f"{path}/best_epoch", digits=2),
        whole(training.parameters, f"{path}/parameters"),
        amount(training.seconds, f"{path}/seconds"),
    )


def _sittings_table(evidence: Evidence) -> list[Table]:
    """Tabulate when, where and how long each training was done; older records do not tell."""
    trainings = [(index, one) for index, one in enumerate(evidence.results.trainings) if not one.changed]
    rows = tuple(
        (
            Value(training.architecture),
            Value(_framework(training)),
            whole(training.size, f"/trainings/{index}/size"),
            whole(training.seed, f"/trainings/{index}/seed"),
            Value(moment(sitting.begun, time=True)),
            Value(sitting.machine),
            Value(listed([f"{name} {version}" for name, version in sitting.made_by.items()])),
            whole(sitting.steps, f"/trainings/{index}/sittings/{place}/steps"),
            amount(sitting.seconds, f"/trainings/{index}/sittings/{place}/seconds"),
        )
        for index, training in trainings
        for place, sitting in enumerate(training.sittings)
    )
    columns = headings(
        "Training | Framework | # Image size, px | # Seed | Begun | Machine | Packages | # Steps | # Time, s"
    )
    caption = "The sittings in which each training was done, the later ones continuing from a checkpoint"
    summary = f"All {counted(len(rows), 'sitting')}"
    return [Table("sittings", caption, columns, rows, summary=summary)] if rows else []


def _confusion_panel(evidence: Evidence, training: Training, identifier: str) -> Panel:
    names = _class_names(evidence, training)
    short = dict(zip(names, _on_two_lines(names), strict=True))
    rows: list[Row] = []
    for truth, counts in zip(names, training.test.confusion, strict=True):
        total = max(sum(counts), 1)
        rows += [_confusion_row(truth, name, number, total, short) for name, number in zip(names, counts, strict=True)]
    title = f"{training.architecture}, {pixels(training.size)}, {_framework(training)}, seed {training.seed}"
    plot = Plot(title, "Images, true class by predicted class", chart_notice(evidence.results), rows)
    spec = heat(plot, list(short.values()), list(short.values()), strong="datum.colour > 0.6")
    mistakes = [row for row in rows if row["row"] != row["column"]]
    worst = max(mistakes, key=lambda row: float(str(row["count"])), default=None)
    description = f"{title}: confusion matrix of {counted(training.test.count, 'image')}."
    if worst:
        truth, taken_for = (str(worst[name]).replace("\n", " ") for name in ("row", "column"))
        description += f" Most often confused: {truth} taken for {taken_for}, {worst['text']} times."
    return Panel(identifier, spec, description, CONFUSION_LABELS_PX + CONFUSION_COLUMN_PX * len(names))


def _on_two_lines(names: Sequence[str]) -> list[str]:
    """Return names of classes short enough for a chart: without the words in brackets, on two lines.

    Numbers are used where that is not enough or not unique. The tooltip of a mark has the whole name.
    """
    lines = [textwrap.wrap(name.partition("(")[0].strip() or name, CLASS_LETTERS) for name in names]
    short = ["\n".join(some) if len(some) <= 2 else f"class {place}" for place, some in enumerate(lines)]
    return short if len(set(short)) == len(names) else [f"class {place}" for place in range(len(names))]


def _confusion_row(truth: str, predicted: str, number: int, total: int, short: Mapping[str, str]) -> Row:
    return {
        "row": short[truth],
        "column": short[predicted],
        "count": number,
        "colour": number / total,
        "text": count(number),
        "notes": notes(("", truth), ("predicted", predicted), ("images", f"{count(number)} of {count(total)}")),
    }


def _recall_table(evidence: Evidence) -> Table:
    trainings = evidence.results.trainings
    names = list(dict.fromkeys(name for training in trainings for name in training.test.recall))
    told = ("Image size, px", "Seed", *(f"{name}, %" for name in names))
    columns = (*headings("Training | Framework"), *(Column(heading, numeric=True) for heading in told))
    rows = tuple(_recall_row(index, one, names) for index, one in enumerate(trainings) if not one.changed)
    return Table("recall", "Share of each class's images classified right", columns, rows, summary="Recall per class")


def _recall_row(index: int, training: Training, names: list[str]) -> tuple[Value, ...]:
    return (
        Value(training.architecture),
        Value(_framework(training)),
        whole(training.size),
        whole(training.seed),
        *(_recall_value(index, training.test.recall.get(name), name) for name in names),
    )


def _recall_value(index: int, estimate: Interval | None, name: str) -> Value:
    if estimate is None:
        return Value("")
    pointer = name.replace("~", "~0").replace("/", "~1")
    shown = scaled(estimate, 100)
    return Value(points(estimate), shown.value, f"/trainings/{index}/test/recall/{pointer}/value", 100)


def _class_names(evidence: Evidence, training: Training) -> list[str]:
    """Return names for the rows of the confusion matrix, by number where the record names too few."""
    known = evidence.results.data.classes
    numbers = range(len(training.test.confusion))
    return known if len(known) == len(numbers) else [f"class {number}" for number in numbers]


def _framework(training: Training) -> str:
    return family_of(training.framework).words
