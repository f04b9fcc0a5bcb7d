"""The record of how a task judges a model's answers: decisions that changed, and how many are right."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, FiniteFloat, model_validator

from assay.records.base import Interval, Record, Share, check_interval_of_share
from assay.registry import TASKS


def _known(name: str) -> str:
    if name not in TASKS:
        raise ValueError(f"'{name}' is not a task, expected one of {', '.join(TASKS)}")
    return name


TaskName = Annotated[str, AfterValidator(_known)]
"""The name of the task by which something was judged; see `assay.bench.tasks`."""


Scores = Literal["logits", "probabilities", "classes"]
"""The kinds of numbers that decide: a margin that is sure for one kind is not for another."""


Ground = Literal["", "open", "not followed"]
"""The ground on which numbers do not pass, where it is more than their distance: nothing shows whether they are wrong
(values that may tie decide them, or the reference has no numbers), or a run in reduced precision does not follow the
reference (`assay.numerics.following`).
"""


class Flips(Record):
    """Counts of decisions that differ from those they are compared with.

    Attributes:
        decisions: number compared, one or more for each record.
        flipped: number of decisions that differ; `records` is the number of records with at least one.
        excused: number of differing decisions whose deciding values tie, which count as equal (`assay.numerics.ties`).
        records: number with at least one decision that differs.
    """

    decisions: int = Field(ge=0)
    flipped: int = Field(ge=0)
    excused: int = Field(ge=0)
    records: int = Field(ge=0)


class Quality(Record):
    """How right answers are by one measure, against labels, with 95 % intervals over records; higher is better.

    Attributes:
        name: name of the measure, such as "accuracy".
        value: the measure of the answers.
        base: the measure of the answers compared with, on the same records.
        method: how the intervals were made.
        share: whether the measure is a share of decisions, from 0 to 1.
        is_metric: whether it is a metric that the user gave, and not the task's own measure.
        difference: `value` less `base`, on the same records; None in older records.
        p_value: probability of a difference at least as large if there is none, two-sided; None in older records.
        test: name of the test behind `p_value`.
    """

    name: str
    value: Interval
    base: Interval
    method: str
    share: bool = True
    is_metric: bool = False
    difference: Interval | None = None
    p_value: Share | None = None
    test: str = ""

    @model_validator(mode="after")
    def _is_share(self) -> Self:
        if self.share:
            for one in (self.value, self.base):
                check_interval_of_share(one)
        return self


class Judgement(Record):
    """The judgement of one subject's decisions on one output.

    Attributes:
        task: by which they were judged.
        output: name of the output whose numbers are the decisions, or decide; the first output where a metric alone
            judges all of them.
        against: description of the decisions compared with.
        records: number of records judged.
        flips: decisions that are other ones.
        qualities: measures of right decisions; empty where there are no labels.
        left_out: number of decisions without a label, which enter no quality.
        reason: why the decisions speak against the subject, or "".
        threshold: number above which a value means class 1; None where the largest of several numbers decides.
        scores: the kind of the output's numbers, as the task says; "" in older records.
    """

    task: TaskName
    output: str
    against: str
    records: int = Field(ge=0)
    flips: Flips
    qualities: list[Quality] = Field(default_factory=list)
    left_out: int = Field(default=0, ge=0)
    reason: str = ""
    threshold: FiniteFloat | None = None
    scores: Scores | Literal[""] = ""

    def quality(self, name: str) -> Quality | None:
        """Return the measure of this name, or None."""
        return next((one for one in self.qualities if one.name == name), None)

    @classmethod
    def without_decisions(cls, task: str, output: str, against: str, records: int) -> Self:
        """Return the judgement of a task that decides nothing, for the measures of a metric."""
        none = Flips(decisions=0, flipped=0, excused=0, records=0)
        return cls(task=task, output=output, against=against, records=records, flips=none)

    @property
    def metric(self) -> Quality | None:
        """The metric that the user gave, or None."""
        return next((one for one in self.qualities if one.is_metric), None)
