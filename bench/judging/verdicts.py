"""Verdicts over ratios of times: faster, slower, the same within a margin, or not enough evidence.

Two questions are asked of every comparison. Is there a difference: Student's test of the logarithm of the ratio
against zero. Is there none that matters: two one-sided tests that it lies within the margin (Schuirmann 1987, "A
comparison of the two one-sided tests procedure and the power approach for assessing the equivalence of average
bioavailability"). Comparisons that are read together are a family, and each question is corrected over the family by
Holm's method (1979, "A simple sequentially rejective multiple test procedure"): the chance of a single false "faster"
or "slower" in the family is at most 1 - confidence, and so is that of a single false "same". A ratio of cells that were
chosen as the fastest by the samples that are tested takes into account from how many
(`assay.bench.statistics.selection`).

Fewer than three fresh processes give no verdict. Two that agree by chance look like certainty: one degree of freedom
requires normal effects further out than anybody has seen them, and a slower process in five (a mode of its own, see
`assay.bench.statistics.modes`) is missed by two of them more often than not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from assay.bench.statistics.selection import favoured_level, upper_quantile
from assay.bench.statistics.stats import CONFIDENCE, LEAST_PROCESSES, SAYS_NOTHING, Ratio
from assay.numerics.distributions import student_quantile
from assay.records.base import Verdict

MARGIN = 0.02
TOLD_OFTEN = 0.8
"""The power at which a difference counts as detectable, as is usual (Cohen 1988)."""


def judge(ratios: Sequence[Ratio], *, margin: float = MARGIN, confidence: float = CONFIDENCE) -> list[Verdict]:
    """Return one verdict for each ratio of a family; each is the time of a subject over the time of its reference.

    A ratio within the margin is "same", even if it differs measurably: a difference of 0.5 % that is beyond doubt is
    still the same within 2 %. A ratio that is not, and differs, is "faster" (below one) or "slower". All others are
    "undecided".

    Args:
        margin: the largest difference that does not matter, 0.02 for 2 %.
        confidence: confidence of the whole family.
    """
    level = 1 - confidence
    family = [ratio for ratio in ratios if _gives_verdict(ratio)]
    different = holm([difference_p_value(ratio) for ratio in family])
    equal = holm([equivalence_p_value(ratio, margin) for ratio in family])
    found = iter(
        _verdict(ratio, differs=differs <= level, same=same <= level)
        for ratio, differs, same in zip(family, different, equal, strict=True)
    )
    return [next(found) if _gives_verdict(ratio) else "undecided" for ratio in ratios]


def _gives_verdict(ratio: Ratio) -> bool:
    """Return whether a ratio rests on enough processes for a verdict of any kind."""
    return ratio.processes >= LEAST_PROCESSES


def _verdict(ratio: Ratio, *, differs: bool, same: bool) -> Verdict:
    if same:
        return "same"
    if differs:
        return "faster" if ratio.log_mean < 0 else "slower"
    return "undecided"


def difference_p_value(ratio: Ratio) -> float:
    """Return the chance of an estimate so far from one, on either side, if the two were equally fast; 1 for too few
    processes.
    """
    if not _gives_verdict(ratio):
        return 1.0
    return ratio.as_far()


def equivalence_p_value(ratio: Ratio, margin: float = MARGIN) -> float:
    """Return the largest chance of an estimate so well within the margin if the truth were outside it.

    The margin is symmetric on the logarithmic scale: from 1 / (1 + margin) to 1 + margin. It is 1 for too few
    processes.
    """
    if not _gives_verdict(ratio):
        return 1.0
    edge = math.log1p(margin)
    return max(ratio.above(edge), ratio.below(-edge))


def least_told(ratio: Ratio, family: int = 1, *, confidence: float = CONFIDENCE) -> float | None:
    """Return the smallest difference that such samples detect four times out of five, as a share; None if they detect
    none.

    It is the difference that Student's test demands of the first of a family (`holm`), plus the spread that four of
    five estimates stay within.

    Args:
        family: number of comparisons that are read together.
    """
    if ratio.degrees <= 0 or not _gives_verdict(ratio):
        return None
    rivals = max(ratio.numerators, ratio.denominators)
    level = favoured_level((1 - confidence) / family, ratio.degrees, rivals)
    needed = upper_quantile(1 - level, ratio.degrees, rivals)
    distance = (needed + student_quantile(ratio.degrees, TOLD_OFTEN)) * ratio.log_standard_error
    return math.expm1(min(distance, SAYS_NOTHING))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return Holm's adjusted p-values: to be compared with the level wanted for the whole family."""
    order = np.argsort(p_values, kind="stable")
    adjusted = [1.0] * len(p_values)
    largest = 0.0
    for place, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - place) * p_values[index]))
        adjusted[index] = largest
    return adjusted
