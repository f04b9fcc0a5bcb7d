"""Which candidates nothing beats: ties, dominance and the Pareto front of objective and accuracy. Pure functions.

Two speeds are a *tie* when their intervals overlap or they differ by no more than `bench.verdicts.MARGIN`; two
accuracies when their intervals overlap. Accuracies on different images are not compared, and neither are the
candidates that have them. One candidate *dominates* another when it is estimated no worse in the objective and in
accuracy, and better in one of them by more than a tie. What nothing dominates is the Pareto front; since dominance
needs a strictly better estimate, there always is one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from assay.choice import Candidate, Objective
from assay.records import Interval
from bench.verdicts import MARGIN


def pareto_front(candidates: Sequence[Candidate], objective: Objective) -> list[Candidate]:
    """Those that nothing dominates; never empty unless there is no candidate."""
    return [one for one in candidates if not any(dominates(other, one, objective) for other in candidates)]


def dominates(left: Candidate, right: Candidate, objective: Objective) -> bool:
    """Whether one candidate is estimated no worse than another, and beyond a tie better in something."""
    if left.accuracy_images != right.accuracy_images:
        return False
    cost, other = (cost_of(one.value.value, objective) for one in (left, right))
    no_worse = cost <= other and left.correct.value >= right.correct.value
    faster = cost < other and not tie(left.value, right.value)
    more_accurate = left.correct.low > right.correct.high
    return no_worse and (faster or more_accurate)


def tie(left: Interval, right: Interval) -> bool:
    """Whether two speeds differ by no more than the measurement error, or than what does not matter."""
    overlap = left.low <= right.high and right.low <= left.high
    return overlap or abs(math.log(left.value / right.value)) <= math.log1p(MARGIN)


def cost_of(value: float, objective: Objective) -> float:
    """Less is better."""
    return -value if objective == "throughput" else value
