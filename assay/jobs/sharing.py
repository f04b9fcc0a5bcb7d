"""A host whose processes go on side by side, each with its part of the cores.

OpenMP's threads wait for each other in a loop that uses the processor. Where two processes have as many threads as
there are cores, each waits for threads that have none: an epoch of PyTorch beside one of JAX on two cores took 116 s,
and alone takes 9.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Unpack

from assay.jobs.host import How, Running, Starter, Through

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""Variables of libraries with pools that wait in a loop. Other pools sleep, and use the cores that are free."""


@dataclass(frozen=True)
class Sharing(Through):
    """A host with so many threads for each of its processes, where a person has said nothing else."""

    threads: int

    def start(self, module: str, log: Path, **how: Unpack[How]) -> Running:
        """See `assay.jobs.host.Starter`."""
        threads = {name: str(self.threads) for name in THREAD_VARIABLES if name not in os.environ}
        how["environment"] = {**threads, **(how.get("environment") or {})}
        return self.host.start(module, log, **how)


def shared(host: Starter, cores: int, together: int) -> Starter:
    """The host as one of so many jobs at a time has it."""
    return host if together < 2 else Sharing(host, max(cores // together, 1))
