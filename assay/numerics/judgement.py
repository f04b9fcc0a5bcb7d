"""What a task makes of a model's answers, on record: decisions that are other ones, and how many are right."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, FiniteFloat

from assay.records.base import IntervalOfShare, Record
from assay.registry import TASKS


def _known(name: str) -> str:
    if name not in TASKS:
        raise ValueError(f"'{name}' is not a task, expected one of {', '.join(TASKS)}")
    return name


TaskName = Annotated[str, AfterValidator(_known)]
"""By which task something was judged; see `assay.bench.tasks`."""


Scores = Literal["logits", "probabilities", "classes"]
"""The kinds of numbers that decide: what is sure of one is not of another."""


class Flips(Record):
    """Decisions that are not those that they are held against.

    Attributes:
        decisions: how many were compared, one or more a record.
        flipped: those that differ; `records` of them have at least one.
        excused: those that differ where what decides them ties, which count as equal (`assay.numerics.ties`).
    """

    decisions: int = Field(ge=0)
    flipped: int = Field(ge=0)
    excused: int = Field(ge=0)
    records: int = Field(ge=0)


class Quality(Record):
    """How right decisions are, by one measure and against labels, with 95 % intervals over records.

    Attributes:
        name: of the measure, "accuracy".
        value: of the answers, and `base` of what they are held against, on the same records.
        method: what the intervals are.
    """

    name: str
    value: IntervalOfShare
    base: IntervalOfShare
    method: str


class Judgement(Record):
    """One subject's decisions on one output.

    Attributes:
        output: of the model, whose numbers are the decisions or decide.
        against: what they are held against, in words.
        records: how many were judged.
        qualities: empty where nobody said what is right.
        left_out: decisions that have no label, and enter no quality.
        threshold: what lies above it is of class 1; None where the largest of several numbers decides.
        reason: why the decisions speak against the subject, or "".
        scores: the kind of the output's numbers, as the task has it; "" in older records.
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
        """The measure of this name, where there is one."""
        return next((one for one in self.qualities if one.name == name), None)
