"""`make gpu-check`: what it says without a GPU, what it makes of a trace, and on a GPU itself, where there is one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from assay.infer.gpu.nvml import first_gpu
from assay.infer.profile.calls import Operator, ProfiledCall
from tools.gpu_check.__main__ import RECORD
from tools.gpu_check.runtimes import kernels_in
from tools.gpu_check.steps import steps

ROOT = Path(__file__).parents[2]
NOT_NEEDED = ("polars", "psutil", "safetensors", "typer", "altair", "vl_convert")
BARE = f"""
import sys
for name in {NOT_NEEDED}:
    sys.modules[name] = None
sys.argv[0] = "gpu_check"
import runpy
runpy.run_module("tools.gpu_check", run_name="__main__", alter_sys=True)
"""
on_a_gpu = pytest.mark.skipif(first_gpu() is None, reason="there is no NVIDIA GPU")


def checked(*words: str, **told: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words], cwd=ROOT, env=os.environ | told, capture_output=True, text=True, check=False
    )


def lines_of(folder: Path) -> dict[str, dict[str, object]]:
    """The line of each step, by its name."""
    found = map(json.loads, (folder / RECORD).read_text(encoding="utf-8").splitlines())
    return {one["step"]: one for one in found}


def test_without_a_gpu_it_says_so_and_ends_well_with_numpy_and_pydantic_alone() -> None:
    done = checked("-c", BARE, CUDA_VISIBLE_DEVICES="")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("No NVIDIA GPU is here")


def test_the_most_telling_runtimes_come_first_and_only_those_that_are_installed() -> None:
    named = steps("cuda")
    assert named[:4] == ["facts", "models", "runtime torch.eager", "runtime ort.cuda"]
    assert {"clock ramp", "frozen", "ceilings", "runtime jax.jit.tf32", "runtime tf.xla"} <= set(named)
    assert {"runtime ort.cuda.graphs", "runtime torch.compile.graphs", "runtime torch.eager.fp16"} <= set(named)
    assert not {"runtime null", "runtime ort.cpu", "runtime torch.aot", "runtime ort.tensorrt"} & set(named)


def test_kernels_of_written_calls_count_each_moment_once() -> None:
    """Two streams that overlap, in microseconds, and a second call that is the same."""
    spans = (("gemm", 100, 140), ("relu", 120, 160), ("gemm", 200, 220))
    work = tuple(Operator(name, name, 1e3 * start, 1e3 * end, f"stream {name}") for name, start, end in spans)
    found = kernels_in([ProfiledCall(0.0, 3e5, work, 3, on_gpu=True)] * 2, run_ms=0.1)
    assert found["kernel_ms"] == pytest.approx(0.08)
    assert found["rest_ms"] == pytest.approx(0.02)
    assert (found["launches"], found["gap_ms"]) == (3, pytest.approx(0.04))
    assert found["longest_ms"] == pytest.approx({"gemm": 0.06, "relu": 0.04})


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_each_step_does_its_work_on_the_processor_as_far_as_it_can(tmp_path: Path) -> None:
    """The script itself, with the packages that it does not need out of reach: no number of it is one of a GPU."""
    for step in ("models", "runtime torch.eager", "runtime jax.jit", "runtime ort.cpu", "ceilings", "frozen"):
        words = ("-c", BARE, "--step", step, "--out", str(tmp_path), "--device", "cpu")
        done = checked(*words, CUDA_VISIBLE_DEVICES="")
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout.splitlines()[-1])
        assert "failed" not in json.dumps(found), found
        if step.startswith("runtime"):
            for model in ("bloodnet", "resnet18"):
                assert found[model]["accuracy"]["over_tolerance"] < 1
                assert found[model]["observed"]["device"] == "cpu"
                assert found[model]["batch 1"]["ms"]["run"] > 0
                assert found[model]["batch 1"]["parts"]["to_ns"] > 0
    assert np.load(tmp_path / "resnet18.float64.npy").dtype == np.float64


@on_a_gpu
@pytest.mark.slow
def test_on_a_gpu_every_cell_is_there_and_in_the_precision_that_was_asked_for(tmp_path: Path) -> None:
    done = checked("-m", "tools.gpu_check", "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    found = lines_of(tmp_path)
    for name, line in found.items():
        assert "failed" not in line, (name, line)
        if name.startswith("runtime "):
            told = line["found"]
            assert isinstance(told, dict)
            for model in ("bloodnet", "resnet18"):
                assert told[model]["observed"]["device"] == "cuda", name
                assert told[model]["observed"]["precision"] == told[model]["precision"], name
                if told[model]["precision"] == "fp32":
                    assert told[model]["accuracy"]["over_tolerance"] <= 1, name
