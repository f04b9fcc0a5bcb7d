"""The state of a GPU, read from a fake of the driver's library: what a real one says is for `make gpu-check`."""

from __future__ import annotations

from pathlib import Path

import pytest

from assay.infer.gpu.nvml import THROTTLED, GpuState, first_gpu
from tests.infer.gpu.compiled import COMPILER, compiled


def fake(folder: Path, *options: str) -> str:
    """The fake library, compiled."""
    return compiled("fake_nvml.c", folder, *options)


pytestmark = pytest.mark.skipif(not COMPILER, reason="there is no compiler")


def test_a_fake_driver_s_gpu_is_read_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    gpu = first_gpu(fake(tmp_path))
    assert gpu is not None
    assert (gpu.name, gpu.driver) == ("NVIDIA Fake", "580.1")
    found = gpu.state()
    held_back = ("power limit", "temperature limit")
    assert found == GpuState(1755, 1980, 61, 412.5, held_back, False, 2048.0, (17, 4242), {17: 1024.0})
    assert THROTTLED & {*held_back} == {"temperature limit"}


def test_a_fake_driver_before_535_says_why_under_another_name_and_no_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    gpu = first_gpu(fake(tmp_path, "-DOLD"))
    assert gpu is not None
    found = gpu.state()
    assert (found.held_back, found.is_idle, found.processes) == (("hardware slowdown for temperature",), True, None)
    assert found.process_mib == {}


@pytest.mark.parametrize(("visible", "there"), [("GPU-fake", True), ("GPU-other", False), ("1", False), ("", False)])
def test_the_gpu_of_a_fake_driver_is_the_one_that_frameworks_may_see(
    visible: str, there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert (first_gpu(fake(tmp_path)) is not None) == there


def test_without_a_driver_there_is_none() -> None:
    assert first_gpu("libnvidia-ml-that-is-not-there.so.1") is None
