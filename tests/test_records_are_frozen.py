"""A record states a finding and does not change afterwards: every dataclass is frozen except those that collect."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tests.test_imports import modules

GATHER = {
    "Accumulator", "Asking", "CalibrationBins", "ClassCounts", "Control", "Crew", "Dispatch", "FleetRun", "Progress",
    "Reply", "Rounds", "Run", "SecondShape", "Serving", "Speeds",
    "Stream", "TimedCell", "Trial", "Unit", "Use", "Watched", "Work", "_Sitting", "_Tally",
}  # fmt: skip
"""Classes that fill while something runs."""


def dataclasses() -> Iterator[tuple[str, bool]]:
    """The name of each dataclass, and whether it is frozen."""
    for path in modules():
        text = path.read_text(encoding="utf-8")
        for node in ast.parse(text).body if "@dataclass" in text else ():
            for decorator in node.decorator_list if isinstance(node, ast.ClassDef) else ():
                said = ast.unparse(decorator)
                if said.startswith("dataclass"):
                    yield node.name, "frozen=True" in said


def test_only_what_gathers_can_be_changed() -> None:
    found = list(dataclasses())
    assert len(found) > 100
    assert {name for name, frozen in found if not frozen} == GATHER
