"""What every record of results is built on."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

# Of one time against another, see `bench.verdicts`.
Verdict = Literal["faster", "slower", "same", "undecided"]


class Record(BaseModel):
    """Base of the records: unknown keys are errors, values are immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Interval(Record):
    """An estimate with its 95 % confidence interval."""

    value: float
    low: float
    high: float
