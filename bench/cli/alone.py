"""The wait of a command for its turn to time on this machine, with a message about what it waits for."""

from __future__ import annotations

from contextlib import AbstractContextManager

from assay.alone import timing_alone
from assay.bench.words.terminal import complain


def alone_on_this_machine() -> AbstractContextManager[None]:
    """Keep other commands of this user from timing on this machine inside the block."""
    return timing_alone(
        lambda who: complain(f"assay: waiting for {who}: two timing commands on one machine would disturb each other")
    )
