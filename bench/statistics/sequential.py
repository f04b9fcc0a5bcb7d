"""Wald's sequential test of a share of errors: as many trials as it takes to tell a good instrument from a bad one.

Wald 1945, "Sequential tests of statistical hypotheses", Annals of Mathematical Statistics 16: after each trial the
logarithm of the likelihood ratio of the two shares is compared with two limits, which come from the chances of a wrong
answer that one is ready to take. Pure functions.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Answer = Literal["good", "bad", "open"]


@dataclass(frozen=True)
class Sequential:
    """Whether errors are as rare as they should be.

    Attributes:
        good: share of errors of an instrument that should pass.
        bad: share of one that should not.
        risk: chance of the wrong answer at each of the two; in between it depends.
    """

    good: float = 0.05
    bad: float = 0.15
    risk: float = 0.05

    def answer(self, errors: Iterable[bool]) -> Answer:
        """After trials in their order; what comes after the first answer does not change it."""
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
        """Trials without an error that it takes to pass."""
        return math.ceil(math.log((1 - self.risk) / self.risk) / -math.log((1 - self.bad) / (1 - self.good)))

    @property
    def sentence(self) -> str:
        """What the answer is worth."""
        return (
            f"of instruments that err in {self.good:.0%} this passes {1 - self.risk:.0%}, of those that err in "
            f"{self.bad:.0%} it passes {self.risk:.0%}"
        )
