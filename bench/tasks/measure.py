"""The measure of right answers that a record has: the metric that the user gave, else the task's own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from assay.bench.tasks.task import KnownQuality, known_by, task_of
from assay.bench.words.numbers import interval, percent, points, scaled, significant
from assay.numerics.judgement import Judgement, Quality
from assay.records.audit import Comparison, ModelAudit
from assay.records.base import Interval
from assay.records.results import Results


@dataclass(frozen=True)
class Measure:
    """A measure by which answers are right, higher is better.

    Attributes:
        name: name of the measure; "" where there is none.
        share: whether it is a share from 0 to 1, which is shown in percent.
        is_metric: whether the user gave it.
    """

    name: str
    share: bool = True
    is_metric: bool = False

    @property
    def axis(self) -> str:
        """Its name as a heading, with the unit."""
        return f"{self.name[:1].upper()}{self.name[1:]}, %" if self.share else self.name

    @property
    def factor(self) -> int:
        """The factor between a value and the number shown."""
        return 100 if self.share else 1

    def words(self, found: Interval) -> str:
        """Return a value with its interval, "98.4 % (97.9-98.8)" or "0.913 (0.902-0.924)"."""
        return percent(found) if self.share else interval(found, least_digits=3)

    def points(self, found: Interval) -> str:
        """Return the same under a heading with the unit."""
        return points(found) if self.share else interval(found, least_digits=3)

    def short(self, value: float) -> str:
        """Return a value alone."""
        return f"{value:.2%}" if self.share else significant(value, 4)


def measure_of(record: Results | ModelAudit) -> Measure:
    """Return the measure that a record is judged by first."""
    metric = next((one.metric for one in _judgements(record) if one.metric), None)
    return measured_by(metric) if metric else Measure(task_of(record).quality)


def measured_by(quality: Quality) -> Measure:
    """Return the measure of one quality."""
    return Measure(quality.name, quality.share, quality.is_metric)


def known_measures(results: Results) -> dict[str, Measure]:
    """Return all measures of right answers that results have, by name."""
    if results.kind == "study":
        own = measure_of(results)
        return {own.name: own} if own.name else {}
    return {quality.name: measured_by(quality) for one in _judgements(results) for quality in one.qualities}


def is_labelled(results: Results) -> bool:
    """Check whether right answers are known: always for a study's images, for a user's records where given."""
    if results.kind == "study":
        return bool(task_of(results).quality)
    return any(one.qualities for one in _judgements(results))


def known_quality(model: ModelAudit, comparisons: Sequence[Comparison]) -> KnownQuality:
    """Return a subject's value by the measure of the record, from all its comparisons in an audit.

    Raises:
        FailedError: the audit does not have it.
    """
    measure, own = measure_of(model), task_of(model)
    return own.known_quality(model, comparisons) if measure.name == own.quality else known_by(measure.name, comparisons)


def difference_in_words(quality: Quality) -> str:
    """Return the paired comparison, "difference -0.4 % (-1.2-0.3), p = 0.31"; "" where there is none."""
    if quality.difference is None:
        return ""
    by = quality.difference
    shown = scaled(by, 100) if quality.share else by
    unit = " points" if quality.share else ""
    if shown.low == shown.value == shown.high == 0:
        return "no difference on any draw"
    said = (
        f"difference {significant(shown.value, 2)}{unit} ({significant(shown.low, 2)} to {significant(shown.high, 2)})"
    )
    return f"{said}, p = {significant(quality.p_value, 2)}" if quality.p_value is not None else said


def _judgements(record: Results | ModelAudit) -> Iterator[Judgement]:
    rows = record.cells if isinstance(record, Results) else record.comparisons
    return (one.judgement for one in rows if one.judgement)
