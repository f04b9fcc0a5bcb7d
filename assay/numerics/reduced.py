"""How fp16, bf16 and int8 are judged: they may be further from float64 than rounding in fp32 explains.

Each task has a rule for the check after an export, the audit and a deployment. The one here, on numbers, is part of
every task's: a correct model follows the reference, so the error as a whole is bounded, relative to the reference's
numbers. Zeros have a root-mean-square error of 100 % of the reference's own, another function of the same size some 140
% (the square root of two, if uncorrelated), and two of eight columns exchanged 71 %. int8 of the reference study,
bloodnet at 28 and 64 pixels and resnet18 at 28, has 3 to 4 % on the test split and 4 to 11 % on the hardest images.
Half is far from both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from assay.entries import load_target
from assay.numerics.numbers import Accumulator, Labels, Measured
from assay.registry import TASKS

LARGEST_ERROR_SHARE = 0.5
ERROR_POLICY = (
    f"a root-mean-square error of at most {LARGEST_ERROR_SHARE:.0%} of the reference's own; an output of "
    "zeros has 100%, "
    "a different function more"
)


class Measuring(Protocol):
    """An object that measures answers piece by piece."""

    def add(
        self, reference: NDArray[np.float64], candidate: NDArray[np.floating], labels: Labels | None = None
    ) -> object:
        """Take in one chunk, with its labels if they are known."""

    def result(self) -> Measured:
        """Return the measures over all chunks together."""


@dataclass(frozen=True)
class ReducedRule:
    """A task's rule for answers that were computed in less than fp32.

    Attributes:
        words: the part of the rule that needs no labels, in words; `limit` is its number.
        policy: the whole rule, in words.
        accumulator: makes an object that measures answers piece by piece.
        reason: returns why outputs on the data do not meet the rule, or "".
    """

    words: str
    limit: float
    policy: str
    accumulator: Callable[[], Measuring]
    reason: Callable[[Measured], str]

    def measured(self, reference: NDArray[np.float64], candidate: NDArray[np.floating]) -> Measured:
        """Measure all answers at once; arguments and errors are those of `assay.numerics.numbers.Accumulator.add`."""
        accumulator = self.accumulator()
        accumulator.add(reference, candidate)
        return accumulator.result()


def reason_by_error(found: Measured) -> str:
    """Return why outputs do not follow the reference, or ""."""
    if broken := reason_against_any(found):
        return broken
    if found.rms_relative > LARGEST_ERROR_SHARE:
        return (
            f"the error is {found.rms_relative:.0%} of the reference (root-mean-square), {LARGEST_ERROR_SHARE:.0%} is "
            "allowed: the output does not follow the reference"
        )
    return ""


def reason_against_any(found: Measured) -> str:
    """Return why outputs fail whatever their task, or ""."""
    if not found.images:
        return "there was nothing to compare"
    if found.lost:
        return f"{found.lost} outputs differ from the infinity or NaN of the reference"
    return f"{found.not_finite} outputs are not finite where the reference is" if found.not_finite else ""


BY_ERROR = ReducedRule(ERROR_POLICY, LARGEST_ERROR_SHARE, ERROR_POLICY, Accumulator, reason_by_error)
MOST_LOST_BOXES = 0.05
"""Assay's choice: a small error of a score adds or removes a box near the threshold, so that a rule for every box would
refuse everything, while a detector that lost a class or its smaller objects loses more.
"""
BOXES_POLICY = f"at most {MOST_LOST_BOXES:.0%} of the boxes have no partner in the reference"
BY_BOXES = replace(BY_ERROR, policy=f"{ERROR_POLICY}; {BOXES_POLICY}")


def rule_of(task: str) -> ReducedRule:
    """
    Raises:
        InputError: there is no such task.
    """
    found = load_target(task, TASKS[task].reduced)
    assert isinstance(found, ReducedRule), f"the entry of the task '{task}' does not name a rule"
    return found
