"""A cell of the unit that is being timed, and how many calls make a burst of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from assay.bench.timing.workers import Worker
from assay.infer.commands import SessionLoaded, Warmed

BURST_SECONDS = 0.06
MOST_CALLS = 1000
SLOW_CALL_SECONDS = 0.25
DROPPED_SECONDS = 0.02


@dataclass
class TimedCell:
    """A cell of the unit under way.

    Attributes:
        sizes: number of sizes that are mixed: so many calls make a sample (`assay.infer.rounds`).
    """

    worker: Worker
    name: str
    loaded: SessionLoaded
    warmed: Warmed
    sizes: int = 1
    bursts: int = 0
    medians_ns: list[float] = field(default_factory=list)

    @property
    def first_calls(self) -> tuple[float, ...]:
        """Seconds of the first call at each size, where sizes are mixed."""
        return tuple(one / 1e9 for one in self.warmed.calls_ns[: self.sizes]) if self.sizes > 1 else ()

    @property
    def calls(self) -> int:
        return max(1, min(MOST_CALLS, round(BURST_SECONDS * 1e9 / max(self.warmed.median_ns, 1))))

    @property
    def further_calls(self) -> int:
        """Number of calls in a block beyond the least number: two at least after an untimed one, so that it pays."""
        return max(self.calls, 2) if self.drop else self.calls

    @property
    def drop(self) -> int:
        """Number of untimed calls after thawing: three, or as many as fill caches in `DROPPED_SECONDS`.

        It is 0 where a call is long compared with its correction.
        """
        call_seconds = max(self.warmed.median_ns, 1) / 1e9
        if call_seconds > SLOW_CALL_SECONDS:
            return 0
        return min(3, self.calls, max(1, round(DROPPED_SECONDS / call_seconds)))
