"""The record of a history: the runs, and each series of numbers over them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from assay.bench.comparing.compare import Outcome
from assay.records.base import Interval, Record

HISTORY_FILE = "history.json"
Kind = Literal["latency", "accuracy"]


class ReadRun(Record):
    """One of the results that are joined.

    Attributes:
        folder: name of its folder.
        study: name of the study.
        created: UTC, ISO 8601.
        assay_version: version that wrote it.
        machine: kind of its machine, in words.
        packages: versions of the packages that matter to a measurement.
    """

    folder: str
    study: str
    created: str
    assay_version: str
    machine: str
    packages: dict[str, str]


class RunChange(Record):
    """The change of a series from one run to the next that has it.

    Attributes:
        before, after: indices of the two runs.
        change: quotient of the new and the old ratio of times, or difference of the two accuracies.
        verdict: "faster", "slower" or "same" for ratios of times, "higher" or "lower" for accuracies; "undecided" where
            the runs do not show it, "not judged" where they are of different kinds of machines.
        packages: versions before and after, of packages that differ.
    """

    before: int
    after: int
    change: Interval
    verdict: Literal["faster", "slower", "same", "higher", "lower", "undecided", "not judged"]
    packages: dict[str, tuple[str, str]] = Field(default_factory=dict)


class ChangePoint(Record):
    """A change that the order of many runs shows; see `assay.bench.statistics.change`.

    Attributes:
        run: index of the first run after it.
        p_value: adjusted for all series of the history that are long enough (Holm).
        before, after: means on both sides.
    """

    run: int
    p_value: float
    before: float
    after: float


class RunSeries(Record):
    """One number over the runs that have it.

    Attributes:
        kind: whether it is a ratio of times within each run, or an accuracy.
        subject: model and conditions, in words.
        label: the runtime, or the framework that trained.
        over: runtime whose time is the denominator of the ratio; "" for accuracies.
        points: value in each run that has it, by the index of the run.
        steps: changes between neighbouring points.
        changes: change points; empty where there are too few points to show any.
    """

    kind: Kind
    subject: str
    label: str
    over: str = ""
    points: dict[int, Interval]
    steps: list[RunChange] = Field(default_factory=list)
    changes: list[ChangePoint] = Field(default_factory=list)


class History(Record):
    """Results of several dates and versions.

    Attributes:
        schema_version: version of this record's format.
        created: UTC, ISO 8601.
        assay_version: version that wrote it.
        runs: the results, the oldest first.
        series: numbers over the runs.
        turns: comparisons of two environments or runs, as `assay compare --json` prints them.
    """

    schema_version: Literal[1] = 1
    created: str
    assay_version: str
    runs: list[ReadRun]
    series: list[RunSeries]
    turns: list[Outcome] = Field(default_factory=list)
