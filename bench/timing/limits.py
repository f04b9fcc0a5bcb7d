"""How far a unit may go."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Limits:
    """Limits of a unit; times are on the clock of `time.monotonic`, in seconds.

    Attributes:
        share: end of its part of the budget; it still times the least that makes a sample.
        end: end of the whole budget; a candidate that is not warm by then is skipped.
        ready: time by which what had no process before is ready, so that the others have their times.
        call: limit of a single command of a worker.
        blocks: most blocks.
        leave_behind: whether candidates that two blocks show to be clearly behind have no further ones.
        later: least time of the later batches, about, by batch.
    """

    share: float
    end: float
    call: float
    blocks: int
    ready: float = math.inf
    leave_behind: bool = False
    later: Mapping[int, float] = field(default_factory=dict)
