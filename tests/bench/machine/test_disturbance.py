"""The counters of disturbances, on this machine and where the system shows none."""

from __future__ import annotations

import os
import sys
import time

import pytest

from assay.bench.machine.disturbance import (
    Disturbance,
    disturbance,
    involuntary_switches,
    stolen_seconds,
    throttle_events,
)
from assay.bench.machine.machine import usable_cores

linux = pytest.mark.skipif(sys.platform != "linux", reason="the counters are Linux's")


@linux
def test_work_shows_as_busy_time() -> None:
    cores = usable_cores()
    before = disturbance(cores, os.getpid())
    used = time.process_time()
    while time.process_time() - used < 0.2:
        pass
    between = disturbance(cores, os.getpid()).since(before)
    assert between.busy_seconds is not None
    assert between.busy_seconds >= 0.1, "200 ms of work, in ticks of 10 ms"
    assert between.stolen_seconds is not None
    assert between.stolen_seconds >= 0
    assert between.involuntary_switches is not None
    assert between.involuntary_switches >= 0


def test_an_unavailable_counter_is_none_and_not_zero() -> None:
    nowhere = (999_999,)
    assert stolen_seconds(nowhere) is None
    assert throttle_events(nowhere) is None
    assert involuntary_switches(2**22 + 1) is None


def test_a_difference_with_the_unknown_is_unknown() -> None:
    before, after = Disturbance(1.0, None, 3, 4), Disturbance(1.5, 2.0, 5, None)
    assert after.since(before) == Disturbance(0.5, None, 2, None)
