"""The candidates that nothing beats: dominance and the Pareto front of objective and quality. Pure functions. Two
speeds are a *tie* when their paired ratio cannot be told from one, or they differ by no more than
`assay.bench.judging.verdicts.MARGIN` (`assay.bench.choosing.best`); two shares of right answers are a tie when their
intervals overlap. Shares on different images are not compared, and neither are the candidates that have them. One
candidate *dominates* another when it is estimated no worse in the objective and in quality, and better in one of them
by more than a tie. The candidates that nothing dominates are the Pareto front.
"""

from __future__ import annotations

from collections.abc import Sequence

from assay.bench.choosing.best import Speeds
from assay.records.choice import EligibleCell, Objective


def pareto_front(candidates: Sequence[EligibleCell], speeds: Speeds) -> list[EligibleCell]:
    """Return the candidates that nothing dominates; never empty unless there is no candidate.

    If cells were not timed in the same number of processes, their pairs may contradict each other, so that each is
    dominated by another; then all are on the front.
    """
    front = [one for one in candidates if not any(dominates(other, one, speeds) for other in candidates)]
    return front or list(candidates)


def dominates(left: EligibleCell, right: EligibleCell, speeds: Speeds) -> bool:
    """Return whether one candidate is estimated no worse than another, and better in something by more than a tie."""
    if left is right or left.quality_images != right.quality_images:
        return False
    estimate = speeds.ratio(left, right).log_mean
    no_worse = estimate <= 0 and left.correct.value >= right.correct.value
    faster = not speeds.tie(left, right)
    more_often_right = left.correct.low > right.correct.high
    return no_worse and (faster or more_often_right)


def cost_of(value: float, objective: Objective) -> float:
    """Return the objective as a cost, so that less is better."""
    return -value if objective == "throughput" else value
