"""The time allowed for work on a model, in proportion to how long the model itself took just before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from pydantic import Field, JsonValue, ValidationError

from assay.records.base import Record
from assay.steps import BYTES_A_SECOND, EVALUATOR_SLOWER, MOST_SECONDS


class Pace(Record):
    """The time that a model took in a process of its own.

    Attributes:
        load_seconds: time to import its framework, and to make or read the model; 0 where it was not measured.
        call_seconds: time of its slowest call that did not trace or compile.
    """

    load_seconds: float = Field(default=0.0, ge=0)
    call_seconds: float = Field(ge=0)


@dataclass(frozen=True)
class Share:
    """The longest that one kind of work may take.

    Attributes:
        seconds: the limit for a model that takes no time.
        calls: number of the model's own calls whose time is added to the limit.
        least: the part of the seconds that remains on a machine that loads the model quickly; 0 for all of them.
    """

    seconds: float
    calls: float
    least: float = 0.0


SHARES: Mapping[str, Share] = {
    "export": Share(240.0, 100.0, least=100.0),
    "check": Share(120.0, 1000.0),
    "double": Share(120.0, EVALUATOR_SLOWER),
    "deciders": Share(120.0, EVALUATOR_SLOWER),
    "following": Share(300.0, EVALUATOR_SLOWER),
    "variant": Share(240.0, 2000.0),
    "mixed": Share(240.0, 20_000.0),
    "boundary": Share(240.0, 3000.0),
    "attribution": Share(120.0, 1000.0),
}
"""The share of each kind of work. An export imports a framework, traces, converts and optimises; a check calls five
sessions with a few batches each; an evaluator in Python is thousands of times as slow as the model, and following an
export runs two; a variant is calibrated, made, and checked; a search for layers has a budget and ends with its result
so far, after thousands of calls on all records; one for the decision boundary takes hundreds of steps, forwards and
back.
"""
KINDS = {"export": ("export", "check"), "held": ("variant",), "mixed": ("variant", "mixed")}
"""The kinds of work of a job that has several, or that has another name than its work."""
LOADS_SLOWER = 25.0
"""An export takes at most this many times as long as importing and making the model."""


class Sized(Protocol):
    """Any record with the fields of a pace."""

    @property
    def load_seconds(self) -> float: ...
    @property
    def call_seconds(self) -> float: ...


def allowed(work: str, pace: Sized | None, size: int = 0) -> float:
    """Return how many seconds a kind of work on a model may take.

    Args:
        work: one of `SHARES`.
        pace: pace of the model; None where it was not measured, which allows the most.
        size: bytes of its file, which is read, written and read again.
    """
    large = 3 * size / BYTES_A_SECOND
    if pace is None:
        return MOST_SECONDS + large
    share = SHARES[work]
    seconds = share.seconds
    if share.least and pace.load_seconds:  # a slow machine imports the exporter as slowly
        seconds = min(max(share.least, LOADS_SLOWER * pace.load_seconds), seconds)
    return min(seconds + share.calls * pace.call_seconds, MOST_SECONDS) + large


def limit_of(job: str, request: Record, pace: Sized | None, size: int = 0) -> float:
    """Return how many seconds a job on a model may take in all: those of its kinds of work, and what it was given to
    use up. A job of no kind has steps with limits of their own, and the most that these may add up to.

    Args:
        job: name of the job.
        pace, size: see `allowed`.
    """
    works = [allowed(work, pace if work in SHARES else None, size) for work in KINDS.get(job, (job,))]
    return sum(works) + float(getattr(request, "budget_seconds", 0.0))


def pace_in(facts: Mapping[str, JsonValue]) -> Pace | None:
    """Return the pace recorded in a manifest; None if there is none, as in those of older versions."""
    try:
        return Pace.model_validate({name: facts[name] for name in Pace.model_fields if name in facts})
    except ValidationError:
        return None
