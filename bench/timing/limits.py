"""How far a unit may go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Limits:
    """How far a unit may go; times are on the clock of `time.monotonic`, in seconds.

    Attributes:
        share: when its part of the budget ends; it still times the least that makes a sample.
        end: when the whole budget ends; what is not warm by then is skipped.
        call: longest single command of a worker.
        blocks: most blocks.
        leave_behind: what two blocks show to be clearly out of the running has no further ones.
        later: by batch, about what the batches after it take at least.
    """

    share: float
    end: float
    call: float
    blocks: int
    leave_behind: bool = False
    later: Mapping[int, float] = field(default_factory=dict)
