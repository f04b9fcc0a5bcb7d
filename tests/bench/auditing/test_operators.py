"""Which operators lose a NaN: known answers, and ONNX Runtime for real."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from assay.bench.auditing.operators.special_job import FUSED, MEAN, SPECIAL, SpecialRequest, lost_by
from assay.jobs.running import run_job


def pooled(images: np.ndarray) -> np.ndarray:
    """Max-pooling that drops a NaN among numbers, and keeps it if there is nothing else."""
    return np.fmax(images[:, ::2, ::2], images[:, 1::2, 1::2])


def test_what_passes_nan_on_loses_nothing() -> None:
    assert lost_by({"ReLU": lambda images: np.maximum(images, 0)}) == {}


def test_a_single_nan_and_all_nan_are_distinguished() -> None:
    lost = lost_by({"pool": pooled, "relu": lambda images: np.fmax(images, np.float32(0))})
    assert lost == {"pool": "a single NaN", "relu": "NaN everywhere"}


def test_onnx_runtimes_pool_loses_a_single_nan_and_its_relu_none(tmp_path: Path) -> None:
    answer = run_job(SPECIAL, SpecialRequest(runtime="ort.cpu"), tmp_path / "job.log", limit_seconds=300)
    assert answer.lost == {"max-pooling": "a single NaN"}


@pytest.mark.slow
@pytest.mark.parametrize("runtime", ["torch.eager", "tf.function", "jax.jit", "openvino"])
def test_every_framework_answers(runtime: str, tmp_path: Path) -> None:
    answer = run_job(SPECIAL, SpecialRequest(runtime=runtime), tmp_path / "job.log", limit_seconds=600)
    assert (answer.lost == {}) == (runtime == "torch.eager")


@pytest.mark.slow
@pytest.mark.parametrize("runtime", ["torch.compile.frozen", "torch.compile.autocast", "torch.aot", "torch.aot.bf16"])
def test_frozen_code_of_pytorch_loses_nan_where_relu_is_fused(runtime: str, tmp_path: Path) -> None:
    """With weights that it knows, Inductor calls oneDNN's convolution with ReLU in it, which takes NaN for nothing."""
    answer = run_job(SPECIAL, SpecialRequest(runtime=runtime), tmp_path / "job.log", limit_seconds=600)
    assert answer.lost == dict.fromkeys([FUSED, MEAN], "NaN everywhere")
