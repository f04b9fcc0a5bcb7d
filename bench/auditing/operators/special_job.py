"""A search for a runtime's operators that lose a NaN, in a process of its own: `python -P -m
assay.bench.auditing.operators.special_job`.

IEEE 754-2019 has two maxima: `maximum` gives NaN where an operand is NaN, and `maximumNumber` gives the other operand.
ONNX, XLA and the frameworks do not say which of them ReLU and max-pooling use, and compilers choose by what is fused
with them. So each runtime is tested, operator by operator and in the combinations that are fused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from assay.entries import load_function
from assay.errors import InputError
from assay.jobs.job import Job
from assay.jobs.serving import serve_job
from assay.records.base import Record
from assay.registry import RUNTIMES
from assay.steps import call_seconds, step

Operator = Callable[[NDArray[np.float32]], NDArray[np.float32]]

SHAPE = (1, 28, 28, 32)
"""The shape of the input: large enough for compilers to choose the same code as for a model."""
KERNEL_SHAPE = (3, 3, 32, 32)
RELU, POOL, FUSED, MEAN = "ReLU", "max-pooling", "convolution, bias and ReLU", "convolution, ReLU and mean"


def kernel() -> NDArray[np.float32]:
    """Return weights of the convolutions: height by width by channels in by channels out."""
    return np.random.default_rng(0).normal(0, 0.1, KERNEL_SHAPE).astype(np.float32)


def lost_by(operators: Mapping[str, Operator]) -> dict[str, str]:
    """Return which NaN each operator loses: "a single NaN", or "NaN everywhere" where it loses even an input of NaN
    alone.

    Args:
        operators: functions of images of `SHAPE` whose results must contain any NaN of the input.
    """
    random = np.random.default_rng(1).normal(size=SHAPE).astype(np.float32)
    single = random.copy()
    single[0, SHAPE[1] // 2, SHAPE[2] // 2, 0] = np.nan
    everywhere = np.full(SHAPE, np.nan, np.float32)
    found = {}
    for name, operator in operators.items():
        with step(f"Testing what {name} does with NaN", 2 * call_seconds()):
            if not np.isnan(operator(everywhere)).all():
                found[name] = "NaN everywhere"
            elif not np.isnan(operator(single)).any():
                found[name] = "a single NaN"
    return found


class SpecialRequest(Record):
    """The runtime to test."""

    runtime: str


class LostNan(Record):
    """The NaN that each operator loses; see `lost_by`."""

    lost: dict[str, str]


SPECIAL = Job("assay.bench.auditing.operators.special_job", "special", SpecialRequest, LostNan, sees_gpu=True)


def work(request: SpecialRequest) -> LostNan:
    """Test a runtime, operator by operator."""
    runtime = request.runtime
    entry = RUNTIMES[runtime]
    if not entry.operators:
        raise InputError(f"The operators of {runtime} cannot be examined one by one")
    operators: Callable[[str], Mapping[str, Operator]] = load_function(runtime, entry.operators)
    return LostNan(lost=lost_by(operators(runtime)))


if __name__ == "__main__":
    serve_job(SPECIAL.done_by(work))
