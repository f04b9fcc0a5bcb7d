"""Calls until the clock of a GPU is steady, and its state before and after a burst of timed calls.

A GPU at rest lowers its clock to a fraction, and raises it over many milliseconds of work (NVIDIA's nvbench leaves out
measurements at a lowered clock for that reason). So untimed calls are made right before the timed ones until the
driver reports the same clock for a tenth of a second. The clock is read, never set.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Protocol

from assay.infer.commands import DuringBurst
from assay.infer.gpu.nvml import GpuState
from assay.infer.gpu.parts import Parts

SAME_SECONDS, MOST_SECONDS = 0.1, 2.0
SAME_SHARE = 0.01
"""The share by which two readings of one clock may differ: a step of the clock is 15 MHz, of some 1,400 to 2,000."""


class ReadsState(Protocol):
    """A GPU, or what stands for one."""

    def state(self) -> GpuState:
        """Return its present state."""


def spin(gpu: ReadsState, call: Callable[[], object]) -> tuple[float, bool]:
    """Call until the clock has stayed the same for `SAME_SECONDS`, or for `MOST_SECONDS`.

    Returns:
        The seconds that it took, and whether the clock was steady; it is not where the driver does not say it.
    """
    begun = since = now = time.perf_counter()
    last = 0
    while now - begun < MOST_SECONDS:
        call()
        clock, now = gpu.state().sm_clock_mhz or 0, time.perf_counter()
        if not last or abs(clock - last) > SAME_SHARE * last:
            last, since = clock, now
        elif now - since >= SAME_SECONDS:
            return now - begun, True
    return now - begun, False


def during(before: GpuState, after: GpuState, spun: tuple[float, bool], parts: Parts) -> DuringBurst:
    """Return the state of a GPU while a burst was timed in this process, from its states before and after.

    Args:
        spun: as `spin` returned it.
        parts: times of its wait and its transfers.
    """
    told = [one.held_back for one in (before, after) if one.held_back is not None]
    own = [one.process_mib[os.getpid()] for one in (before, after) if os.getpid() in one.process_mib]
    processes = None if before.processes is None else {*before.processes, *(after.processes or ())}
    return DuringBurst(
        spun_seconds=spun[0],
        is_steady=spun[1],
        clock_before_mhz=before.sm_clock_mhz,
        clock_mhz=after.sm_clock_mhz,
        celsius=after.celsius,
        watts=after.watts,
        held_back=tuple(dict.fromkeys(reason for one in told for reason in one)) if told else None,
        processes=tuple(sorted(processes)) if processes is not None else None,
        used_mib=after.used_mib,
        own_mib=max(own) if own else None,
        **asdict(parts),
    )
