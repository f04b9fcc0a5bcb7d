"""Calls until a GPU's clock is steady, and its state around a burst. The GPU is a fake in this file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import chain, cycle, repeat
from pathlib import Path

import numpy as np
import pytest

from assay.infer.commands import ToBurst, ToLoad, ToWarm
from assay.infer.gpu import steady
from assay.infer.gpu.nvml import GpuState
from assay.infer.gpu.parts import Parts
from assay.infer.gpu.steady import during, spin
from assay.infer.runtime import ModelFiles
from assay.infer.worker import WorkerState
from assay.spec import ModelSpec, Settings
from assay.train.built import BuiltModel


class FakeGpu:
    """A GPU whose clock takes these values, one a reading."""

    def __init__(self, clocks: Iterator[int | None], **more: object) -> None:
        self._clocks, self._more, self.readings = clocks, more, 0

    def state(self) -> GpuState:
        self.readings += 1
        return GpuState(sm_clock_mhz=next(self._clocks), **self._more)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that every look at moves by 10 ms."""
    now = [0.0]

    def look() -> float:
        now[0] += 0.01
        return now[0]

    monkeypatch.setattr(steady.time, "perf_counter", look)
    return now


def test_calls_are_made_until_a_fake_clock_has_risen_and_stayed(clock: list[float]) -> None:
    calls: list[int] = []
    ramp = [345, 600, 900, 1500, 1950]
    seconds, is_steady = spin(FakeGpu(chain(ramp, repeat(1965))), lambda: calls.append(1))
    assert is_steady
    assert len(calls) == 5 + 10, "five readings until it stays, of which the last is a step of 1 %, and 0.1 s of them"
    assert seconds == pytest.approx(0.15, abs=0.011)


def test_a_fake_clock_that_goes_up_and_down_is_given_up_after_two_seconds(clock: list[float]) -> None:
    seconds, is_steady = spin(FakeGpu(cycle([1400, 1900])), lambda: None)
    assert (is_steady, seconds) == (False, pytest.approx(2.0, abs=0.02))


def test_a_fake_driver_that_does_not_say_the_clock_makes_nothing_steady() -> None:
    assert spin(FakeGpu(repeat(None)), lambda: None)[1] is False


def test_both_states_of_a_burst_count() -> None:
    mine = os.getpid()
    before = GpuState(1980, 1980, 50, 300.0, ("power limit",), False, 900.0, (mine, 7), {mine: 500.0})
    after = GpuState(1965, 1980, 60, 400.0, ("temperature limit",), False, 1000.0, (mine, 9), {mine: 400.0})
    found = during(before, after, (0.3, True), Parts(4, 5, 6, 2, 3, 300.0))
    assert (found.clock_before_mhz, found.clock_mhz, found.celsius, found.watts) == (1980, 1965, 60, 400.0)
    assert found.held_back == ("power limit", "temperature limit")
    assert found.processes == tuple(sorted((mine, 7, 9)))
    assert (found.own_mib, found.used_mib) == (500.0, 1000.0)
    assert (found.synchronising_ns, found.to_ns, found.from_ns) == (4, 5, 6)
    assert (found.to_pinned_ns, found.from_pinned_ns, found.allocated_mib) == (2, 3, 300.0)
    silent = during(GpuState(), GpuState(), (2.0, False), Parts(None, 5, 6))
    assert (silent.held_back, silent.processes, silent.own_mib) == (None, None, None)


def test_a_worker_spins_before_each_burst_and_tells_of_a_fake_gpu(tmp_path: Path) -> None:
    np.save(tmp_path / "images.npy", np.zeros((4, 2, 2, 3), np.float32))
    state = WorkerState()
    model = ModelFiles(model=BuiltModel(spec=ModelSpec("bloodnet", 2, 5)))
    assert state.load(ToLoad(runtime="null", model=model, settings=Settings())).pid == os.getpid()
    state.warm(ToWarm(images=tmp_path / "images.npy", batch=1, limit_seconds=0.1))
    assert state.burst(ToBurst(calls=2, drop=0)).gpu is None, "on the CPU nothing is asked of a driver"
    state._gpu = FakeGpu(chain([345], repeat(1980)), held_back=())
    found = state.burst(ToBurst(calls=5, drop=1))
    assert (len(found.host_ns), len(found.device_ns), len(found.dropped_ns)) == (5, 5, 1)
    assert found.gpu is not None
    assert (found.gpu.is_steady, found.gpu.clock_before_mhz, found.gpu.held_back) == (True, 1980, ())
    assert found.gpu.spun_seconds > 0.1
    assert found.gpu.synchronising_ns is None, "the runtime that does nothing has nothing to wait for"
    assert min(found.gpu.to_ns, found.gpu.from_ns) >= 0
    state.warm(ToWarm(images=tmp_path / "images.npy", batch=2, limit_seconds=0.1))
    assert len(state._inputs) == 32, "on a GPU, as many inputs in turn as its cache does not hold, and 32 at most"
    assert all(one.shape == (2, 2, 2, 3) for one in state._inputs)
