"""How a command waits its turn to time on this machine, and says for whom."""

from __future__ import annotations

from contextlib import AbstractContextManager

from assay.alone import timing_alone
from assay.bench.words.terminal import complain


def alone_on_this_machine() -> AbstractContextManager[None]:
    """From here on no other command of this user times on this machine."""
    return timing_alone(
        lambda who: complain(f"assay: waiting for {who}: two commands that time on one machine disturb each other")
    )
