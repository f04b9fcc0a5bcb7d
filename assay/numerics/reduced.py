"""How fp16, bf16 and int8 are judged: they are further from float64 than rounding in fp32 explains, and may be.

The rule is the task's, for the check after an export, the audit and a deployment. Every task has the one here, of
numbers: a right model follows the reference, so that the error as a whole is bounded, relative to its numbers. Zeros
have a root-mean-square error of 100 % of the reference's own, another function of the same size some 140 % (the square
root of two, for what is not correlated), and two of eight columns exchanged 71 %. int8 of the reference study, bloodnet
at 28 and 64 pixels and resnet18 at 28, has 3 to 4 % on the test split and 4 to 11 % on the hardest images. Half is far
from both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from assay.entries import load_target
from assay.numerics.numbers import Accumulator, Labels, Measured
from assay.registry import TASKS

LARGEST_ERROR_SHARE = 0.5
ERROR_POLICY = (
    f"a root-mean-square error of at most {LARGEST_ERROR_SHARE:.0%} of the reference's own, where zeros have 100% and "
    "another function more"
)


class Measuring(Protocol):
    """What measures answers piece by piece."""

    def add(
        self, reference: NDArray[np.float64], candidate: NDArray[np.floating], labels: Labels | None = None
    ) -> object:
        """Take in one chunk, with what is right of it where that is known."""

    def result(self) -> Measured:
        """What all chunks together say."""


@dataclass(frozen=True)
class ReducedRule:
    """How a task judges answers that were computed in less than fp32.

    Attributes:
        words: the rule where nobody said what is right, and `limit` its number.
        policy: all of it.
        accumulator: takes in the reference and the answers, piece by piece.
        reason: why outputs on the data do not meet it, or "".
    """

    words: str
    limit: float
    policy: str
    accumulator: Callable[[], Measuring]
    reason: Callable[[Measured], str]

    def measured(self, reference: NDArray[np.float64], candidate: NDArray[np.floating]) -> Measured:
        """All at once; arguments and errors as of `assay.numerics.numbers.Accumulator.add`."""
        accumulator = self.accumulator()
        accumulator.add(reference, candidate)
        return accumulator.result()


def reason_by_error(found: Measured) -> str:
    """Why outputs do not follow the reference, or ""."""
    if broken := reason_against_any(found):
        return broken
    if found.rms_relative > LARGEST_ERROR_SHARE:
        return (
            f"the error is {found.rms_relative:.0%} of the reference (root-mean-square), {LARGEST_ERROR_SHARE:.0%} is "
            "allowed: it does not follow the reference"
        )
    return ""


def reason_against_any(found: Measured) -> str:
    """Why outputs fail whatever they are compared for, or ""."""
    if not found.images:
        return "there was nothing to compare"
    if found.lost:
        return f"{found.lost} outputs are not the infinity or NaN that the reference has"
    return f"{found.not_finite} outputs are not finite where the reference is" if found.not_finite else ""


BY_ERROR = ReducedRule(ERROR_POLICY, LARGEST_ERROR_SHARE, ERROR_POLICY, Accumulator, reason_by_error)


def rule_of(task: str) -> ReducedRule:
    """
    Raises:
        InputError: there is no such task.
    """
    found = load_target(task, TASKS[task].reduced)
    assert isinstance(found, ReducedRule), f"the entry of the task '{task}' names no rule"
    return found
