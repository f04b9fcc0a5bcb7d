"""Whether a cell's processes fall into two kinds: some that run faster than the rest for as long as they live.

The place of its memory, an idle core next to its own, the contents of a compiler's cache: such conditions are fixed
once, when a process starts, and affect all of its calls. Processes then do not scatter around one value but around two,
and a mean over three of them is one or the other. The search is in the process medians: of all ways to cut the sorted
values in two, the one with the largest ratio of the distance of the two means to the scatter around them (the
likelihood ratio test of two normal groups against one, with the cut unknown; Engelman & Hartigan 1969, "Percentage
points of a test for clusters", JASA 64). Its limits under a single normal distribution were simulated and are checked
by a test. Pure functions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

LEAST_PROCESSES = 4
"""Three always lie as one and two, and may be arbitrarily close by chance."""
LEAST_DISTANCE = 0.02
"""The margin within which runtimes count as the same: kinds that are closer decide nothing."""
LIMITS = {
    4: 26.6, 5: 14.9, 6: 11.6, 7: 10.2, 8: 9.5, 9: 9.1, 10: 8.9, 12: 8.8, 15: 8.9, 20: 9.4, 30: 10.4, 40: 11.4,
}  # fmt: skip
"""Limit, by number of processes, that the ratio exceeds in 1 % of cells whose processes are of one kind."""
RARE_KIND = 0.2
"""The share of slow processes for which `missed` is given, one in five, as in the published study."""


def two_kinds(medians: Sequence[float]) -> tuple[int, int, float] | None:
    """Return how many processes are of the fast and of the slow kind, and by what share the slow ones are slower.

    Args:
        medians: one time for each process, above zero.

    Returns:
        None where the processes are too few, or may well be of one kind.
    """
    if len(medians) < LEAST_PROCESSES:
        return None
    logs = np.sort(np.log(np.asarray(medians, dtype=float)))
    ratio, cut = largest_ratio(logs)
    distance = float(logs[cut:].mean() - logs[:cut].mean())
    if ratio <= limit_of(len(logs)) or distance < math.log1p(LEAST_DISTANCE):
        return None
    return cut, len(logs) - cut, math.expm1(distance)


def largest_ratio(logs: np.ndarray[tuple[int], np.dtype[np.float64]]) -> tuple[float, int]:
    """Return the test's statistic of sorted values, and how many lie below its cut."""
    best, where = 0.0, 1
    for cut in range(1, len(logs)):
        low, high = logs[:cut], logs[cut:]
        scatter = math.sqrt(((low - low.mean()) ** 2).sum() + ((high - high.mean()) ** 2).sum())
        distance = float(high.mean() - low.mean()) * math.sqrt(len(low) * len(high) / len(logs))
        ratio = distance / scatter * math.sqrt(len(logs) - 2) if scatter else math.inf
        if distance and ratio > best:
            best, where = ratio, cut
    return best, where


def limit_of(processes: int) -> float:
    """Return the limit for so many processes, interpolated between simulated ones; beyond them it grows as their
    root.
    """
    most = max(LIMITS)
    between = float(np.interp(processes, list(LIMITS), list(LIMITS.values())))
    return between * math.sqrt(max(processes, most) / most)


def missed(processes: int, share: float = RARE_KIND) -> float:
    """Return the chance that none of so many processes is of a kind that this share of all processes belongs to."""
    return float((1 - share) ** processes)


def in_words(kinds: tuple[int, int, float]) -> str:
    """Describe the kinds: "2 of 10 processes are 8 % slower than the rest"."""
    fast, slow, share = kinds
    return f"{slow} of {fast + slow} processes are {share:.1%} slower than the rest"
