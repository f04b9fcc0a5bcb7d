"""Wald's sequential test of a share of errors: as many trials as are needed to distinguish a good instrument from a bad
one.

Wald 1945, "Sequential tests of statistical hypotheses", Annals of Mathematical Statistics 16: after each trial the
logarithm of the likelihood ratio of the two shares is compared with two limits, which follow from the accepted chances
of a wrong answer. Pure functions.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Answer = Literal["good", "bad", "open"]


@dataclass(frozen=True)
class Sequential:
    """A test of whether errors are as rare as they should be.

    Attributes:
        good: share of errors of an instrument that should pass.
        bad: share of errors of one that should not.
        risk: chance of the wrong answer at each of the two; in between it depends.
    """

    good: float = 0.05
    bad: float = 0.15
    risk: float = 0.05

    def answer(self, errors: Iterable[bool]) -> Answer:
        """Return the answer after trials in their order; trials after the first answer do not change it."""
        limit = math.log((1 - self.risk) / self.risk)
        wrong, right = math.log(self.bad / self.good), math.log((1 - self.bad) / (1 - self.good))
        total = 0.0
        for error in errors:
            total += wrong if error else right
            if abs(total) >= limit:
                return "bad" if total > 0 else "good"
        return "open"

    @property
    def least(self) -> int:
        """Number of trials without an error that are needed to pass."""
        return math.ceil(math.log((1 - self.risk) / self.risk) / -math.log((1 - self.bad) / (1 - self.good)))

    @property
    def sentence(self) -> str:
        """A sentence on the reliability of the answer."""
        return (
            f"of instruments that err in {self.good:.0%} this passes {1 - self.risk:.0%}, of those that err in "
            f"{self.bad:.0%} it passes {self.risk:.0%}"
        )
