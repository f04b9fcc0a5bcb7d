"""The ceilings of a GPU with a fake of CUDA: the kernels run on the CPU, and its clock takes the place of events."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest

from assay.infer.ceilings import on_torch_cuda
from assay.infer.ceilings.job import measure_of_gpu
from assay.infer.ceilings.rates import best_of
from assay.infer.gpu.nvml import GpuState

L2 = 4 << 20


class FakeEvent:
    """An event that takes the host's time where it is recorded."""

    def __init__(self, *, enable_timing: bool) -> None:
        assert enable_timing

    def record(self) -> None:
        self.at = time.perf_counter()

    def synchronize(self) -> None:
        """Everything has ended already."""

    def elapsed_time(self, other: FakeEvent) -> float:
        return 1000 * (other.at - self.at)


@pytest.fixture
def settings_made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A fake GPU, and what PyTorch was told about it meanwhile."""
    told: list[str] = []
    fake = SimpleNamespace(
        Event=FakeEvent,
        synchronize=lambda: None,
        mem_get_info=lambda: (8 << 20, 16 << 20),
        get_device_properties=lambda number: SimpleNamespace(L2_cache_size=L2),
    )
    steady = SimpleNamespace(state=lambda: GpuState(1980), name="a fake", driver="0.1")
    replaced: dict[str, Any] = {
        "DEVICE": "cpu", "SIDE": 32, "BUS_BYTES": 1 << 12,
        "torch_device": lambda settings: told.append(settings.device),
        "tell_torch_of_gpu": lambda: told.append("no TF32"), "let_torch_round": lambda: told.append("TF32"),
        "first_gpu": lambda: steady, "spin": lambda gpu, call: call(),
    }  # fmt: skip
    for name, value in replaced.items():
        monkeypatch.setattr(on_torch_cuda, name, value)
    monkeypatch.setattr(on_torch_cuda.torch, "cuda", fake)
    return told


def test_every_ceiling_of_a_fake_gpu_is_measured_and_what_fails_leaves_a_note(settings_made: list[str]) -> None:
    """The CPU's memory cannot be pinned without a GPU, which costs those copies alone."""
    said: list[str] = []
    found = measure_of_gpu()(2, (0, 1), said.append)
    assert (found.device, found.gpu, found.threads) == ("cuda", "a fake, driver 0.1", 2)
    assert list(found.gflop_s) == ["fp32", "tf32", "fp16", "bf16"]
    assert settings_made == ["cuda", "no TF32", "TF32", "no TF32", "no TF32"]
    cache, memory = found.bandwidths
    assert (memory.level, memory.capacity_bytes, memory.array_bytes) == ("memory", 0, 3 << 20)
    assert (cache.level, cache.capacity_bytes, cache.array_bytes) == ("L2", L2, L2 // 2)
    assert set(cache.gb_s.all_best) == {"torch copy", "torch triad", "torch sum", "torch sum, read again"}
    assert set(found.transfers) >= {"to the GPU, pageable", "from the GPU, pageable"}
    assert len(found.transfers) + len(found.notes) == 4
    assert all("pinned: not measured" in note for note in found.notes)
    rates = [*found.gflop_s.values(), *(one.gb_s for one in found.bandwidths), *found.transfers.values()]
    assert all(0 < one.median <= one.best == max(one.all_best.values()) for one in rates)
    assert all(one.repetitions == on_torch_cuda.REPETITIONS for one in rates)
    assert said[0] == "matrix product, fp32"


def test_a_launch_takes_its_part_of_the_time_between_two_fake_events(settings_made: list[str]) -> None:
    """A kernel of a millisecond and a million bytes: 1 GB/s, less the fake's own time."""
    rate = best_of({"sleep": (lambda: time.sleep(0.001), 1e6)}, on_torch_cuda.seconds_of_a_launch)
    assert 0.1 < rate.best <= 1.0


def test_a_row_that_is_read_again_counts_each_time(settings_made: list[str]) -> None:
    kernel, read = on_torch_cuda._cached(1 << 12)["torch sum, read again"]
    assert read == on_torch_cuda.TIMES_READ * (1 << 12)
    assert kernel().tolist() == [1024.0] * on_torch_cuda.TIMES_READ  # type: ignore[attr-defined]
