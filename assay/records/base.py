"""The base of every record of results, and the limits on numbers in one.

Impossible values are refused where records are made, so that no path leads around the check: an estimate outside its
own interval, a share below 0 or above 1, a negative time. NaN stands for an unknown number and is allowed wherever a
number is.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, JsonValue, ValidationError, ValidationInfo, model_validator

from assay.errors import ArtifactError
from assay.files.mistakes import mistake_in
from assay.files.texts import read_bytes

# How one time compares with another; see `assay.bench.judging.verdicts`.
Verdict = Literal["faster", "slower", "same", "undecided"]

ONCE = "accuracy"
"""The one measure of an older Assay."""
ROUNDING = 1e-9
"""The relative difference by which two computations of one number may differ."""
TOO_FEW = "too few"
"""The beginning of a reason that more time would remove: such times are not INVALID, but short of samples."""
OLDER: Final = {"older": True}
"""The context of a validation that reads a file: records of an older Assay are widened, not refused."""


class Record(BaseModel):
    """Base of the records: unknown keys are errors, values are immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @classmethod
    def read_from(cls, path: Path, wrong: str = "", *, expected: str | None = None, remedy: str | None = None) -> Self:
        """Read one from a JSON file.

        Args:
            wrong: begins the error, "Cannot read PATH" by default.

        Raises:
            ArtifactError: the file is missing, damaged, too large, or not such a record.
        """
        try:
            return cls.model_validate_json(read_bytes(path))
        except (OSError, ValidationError) as error:
            wrong = wrong or f"Cannot read {path}"
            raise ArtifactError(wrong, expected=expected, found=mistake_in(error), remedy=remedy) from error


class OfMeasure(Record):
    """A record of how right answers are, by the measure of their task. When there was none but accuracy, its fields had
    that name: such a record is read.
    """

    @model_validator(mode="before")
    @classmethod
    def _names_of_today(cls, said: object) -> object:
        return {name.replace(ONCE, "quality"): said[name] for name in said} if isinstance(said, dict) else said


class Tail(Record):
    """A quantile far out, and its bounds, each with 95 % confidence.

    Attributes:
        value: the quantile of the calls that were made.
        low: lower bound.
        high: upper bound; None where the calls are too few for one; see `assay.bench.statistics.tails`.
    """

    value: float
    low: float
    high: float | None

    @model_validator(mode="before")
    @classmethod
    def _widened(cls, data: JsonValue, info: ValidationInfo) -> JsonValue:
        """Widen an interval from an older file that does not contain its own estimate."""
        if info.context != OLDER or not isinstance(data, dict):
            return data
        value, low, high = (data.get(name) for name in ("value", "low", "high"))
        if isinstance(value, int | float) and isinstance(low, int | float) and low > value:
            data = data | {"low": value}
        if isinstance(value, int | float) and isinstance(high, int | float) and high < value:
            data = data | {"high": value}
        return data

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        slack = ROUNDING * abs(self.value)
        if self.low > self.value + slack or (self.high is not None and self.high < self.value - slack):
            raise ValueError(f"the estimate {self.value} is not between {self.low} and {self.high}")
        return self


class Interval(Tail):
    """An estimate with its 95 % confidence interval.

    Attributes:
        high: where the interval ends.
    """

    high: float

    def per_second(self, done: float) -> Interval:
        """Return how many are done in a second where so many take these milliseconds; low and high change places."""
        return Interval(value=done * 1e3 / self.value, low=done * 1e3 / self.high, high=done * 1e3 / self.low)


def _share(value: float) -> float:
    if value < 0 or value > 1:
        raise ValueError(f"{value} is not a share: it is below 0 or above 1")
    return value


def _not_negative(value: float) -> float:
    if value < 0:
        raise ValueError(f"{value} is below zero")
    return value


def check_interval_of_share(value: Interval) -> Interval:
    """Return the interval if it lies between 0 and 1; raise ValueError if it does not."""
    if value.low < -ROUNDING or value.high > 1 + ROUNDING:
        raise ValueError(f"{value.low} to {value.high} extends below 0 or above 1")
    return value


def _time(value: Interval) -> Interval:
    _check_time(value)
    return value


def _tail_of_time(value: Tail) -> Tail:
    """Turn an interval into a tail, so that it equals one that is read from a file."""
    _check_time(value)
    return Tail(value=value.value, low=value.low, high=value.high)


def _check_time(value: Tail) -> None:
    if value.low < 0 or math.isinf(value.value):
        raise ValueError(f"a time of {value.value}, at least {value.low}, cannot be")


Share = Annotated[float, AfterValidator(_share)]
Duration = Annotated[float, AfterValidator(_not_negative)]
IntervalOfShare = Annotated[Interval, AfterValidator(check_interval_of_share)]
IntervalOfTime = Annotated[Interval, AfterValidator(_time)]
TailOfTime = Annotated[Tail, AfterValidator(_tail_of_time)]
