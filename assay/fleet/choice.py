"""The record of an answer to `assay choose` over kinds of machines."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from assay.records.base import Interval, Record
from assay.records.choice import Constraints, Objective

KIND_CHOICE_FILE = "choice-of-kinds.json"


class ChoiceOnKind(Record):
    """The best on one kind of machine.

    Attributes:
        kind: its key; `name` is its name.
        cell: "" where nothing qualifies, which `reason` explains.
        value: value of the objective, over the kind's machines (`assay.bench.fleet.levels`).
        serve_with: processes to start, for "throughput" and "cost".
        tied: whether it is the answer or cannot be distinguished from it.
    """

    kind: str
    name: str
    machines: int = Field(ge=1)
    price_per_hour: float | None = None
    cell: str = ""
    value: Interval | None = None
    serve_with: str = ""
    reason: str = ""
    tied: bool = False


class KindChoice(Record):
    """An answer over kinds of machines.

    Attributes:
        kind, cell: the answer; both "" where nothing qualifies on any kind.
        on_kinds: the best on each kind, the answer's first and those on which nothing qualifies last.
    """

    schema_version: Literal[1] = 1
    study: str
    created: str
    objective: Objective
    currency: str
    constraints: Constraints
    kind: str = ""
    cell: str = ""
    on_kinds: list[ChoiceOnKind]
