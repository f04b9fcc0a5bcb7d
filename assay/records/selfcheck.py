"""Records of what `assay selfcheck` found out about the instrument itself, kept in a file and in every report."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from assay.records.base import Interval, Record, Verdict

SELFCHECK_FILE = "selfcheck.json"

Unit = Literal["ns", "us", "share"]
Bound = Literal["at most", "at least"]


class Check(Record):
    """One measurement and the requirement on it.

    Attributes:
        name: name of the measurement.
        found: the measurement, None where it could not be taken; `remark` says why, or how it was taken.
        unit: unit of `found` and `required`: "ns", "us" (microseconds) or "share" (between 0 and 1).
        bound: whether `required` is the most or the least that passes.
        required: requirement, in the same unit.
        passed: whether it meets the requirement.
        remark: why nothing could be measured, or what the number rests on.
    """

    name: str
    found: float | None
    unit: Unit
    bound: Bound
    required: float
    passed: bool
    remark: str = ""


class PlantedComparisons(Record):
    """Comparisons of a runtime with one that is slower by a known share, or with itself.

    Attributes:
        planted: how much slower it is, 0.03 for 3 %; 0 for identical runtimes.
        ratios: its time over the reference's, one interval for each comparison.
        verdicts: the instrument's verdict on each.
        processes: number of fresh processes behind each comparison.
    """

    planted: float
    ratios: list[Interval]
    verdicts: list[Verdict]
    processes: list[int]


class Design(Record):
    """How each comparison was made: as a study makes it, in fresh processes of at most so many blocks each.

    Attributes:
        processes: number of fresh processes of each of the two.
        blocks: most blocks in a process.
    """

    processes: int = Field(ge=2)
    blocks: int = Field(ge=1)


class SelfCheck(Record):
    """One self-check of one machine.

    Attributes:
        created: UTC, ISO 8601.
        machine: properties that a measurement's machine must share for the check to apply to it.
        seconds: seconds that it took.
        passed: whether every check passed.
        checks: everything that was measured.
        comparisons: comparisons of runtimes whose difference is known.
        advice: advice on making the machine quieter.
        design: design of every comparison; None in records from before 2026-11-27, where processes were added one by
            one.
        told: the smallest slowdown that a single comparison detects four times out of five, 0.03 for 3 %, by number of
            processes; from the spread of identical runtimes between processes.
    """

    created: str
    machine: dict[str, str]
    seconds: float
    passed: bool
    checks: list[Check]
    comparisons: list[PlantedComparisons]
    advice: list[str]
    design: Design | None = None
    told: dict[int, float] = Field(default_factory=dict)
