"""Settings that must be the same for all that are compared, each applied here and nowhere else.

Cores, threads, device, and no TF32 where a cell says fp32. A framework is imported when it is told.
"""
# ruff: noqa: PLC0415

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from assay.errors import InputError
from assay.spec import Settings

if TYPE_CHECKING:
    import jax
    import onnxruntime
    import torch

CPU_ALONE = 'Set bench.device = "cpu" in the study file'
TF32_OFF = {"TF32": "off"}
"""The CPU has none, and CUDA is told so."""


def run_on(cores: Iterable[int]) -> None:
    """Pin all threads of this process, and those that they start, to these cores; to none where there are no names.

    Comes before a framework is imported too: thread pools take the cores that they find when they start.
    """
    wanted, tasks = tuple(cores), Path("/proc/self/task")
    if not wanted or not hasattr(os, "sched_setaffinity"):
        return
    os.sched_setaffinity(0, wanted)
    for _ in range(2):  # a thread may have been started while the others were looked through
        for task in tasks.iterdir() if tasks.exists() else ():
            with suppress(ProcessLookupError):  # it has ended
                os.sched_setaffinity(int(task.name), wanted)


def torch_device(settings: Settings) -> torch.device:
    """PyTorch's device, after it has been told its threads.

    Raises:
        InputError: CUDA is asked for and there is none.
    """
    import torch

    torch.set_num_threads(settings.threads)
    with suppress(RuntimeError):  # it can be set only once in a process
        torch.set_num_interop_threads(1)
    if settings.device == "cuda" and not torch.cuda.is_available():
        raise InputError("PyTorch finds no CUDA device", remedy=CPU_ALONE)
    if settings.device == "cuda":  # fp32 means fp32
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    return torch.device(settings.device)


def tensorflow_device(settings: Settings) -> str:
    """TensorFlow's name of its device, after it has been told its threads.

    Raises:
        InputError: CUDA is asked for and there is none.
    """
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(settings.threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    if settings.device == "cuda" and not tf.config.list_physical_devices("GPU"):
        raise InputError("TensorFlow finds no CUDA device", remedy=CPU_ALONE)
    if settings.device == "cuda":
        tf.config.experimental.enable_tensor_float_32_execution(False)
    return "/GPU:0" if settings.device == "cuda" else "/CPU:0"


def jax_device(settings: Settings) -> jax.Device:
    """JAX's device. On the CPU it has no thread setting: the worker's pinned cores limit it.

    Raises:
        InputError: CUDA is asked for and there is none.
    """
    import jax

    try:
        device = jax.devices(settings.device)[0]
    except RuntimeError as error:
        raise InputError(f"JAX finds no {settings.device} device", remedy=CPU_ALONE) from error
    if settings.device == "cuda":
        jax.config.update("jax_default_matmul_precision", "highest")
    return device


def onnxruntime_options(settings: Settings) -> onnxruntime.SessionOptions:
    """Options of a session of ONNX Runtime, with its threads."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = settings.threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return options


def onnxruntime_on_cuda() -> list[tuple[str, dict[str, str]]]:
    """ONNX Runtime's provider for CUDA, as it is told.

    Raises:
        InputError: this onnxruntime has none.
    """
    import onnxruntime

    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        raise InputError(
            "This onnxruntime has no CUDA execution provider",
            found=", ".join(onnxruntime.get_available_providers()),
            remedy="On a machine with an NVIDIA GPU install the extra 'gpu' in place of 'cpu'",
        )
    return [("CUDAExecutionProvider", {"use_tf32": "0"})]


def openvino_properties(settings: Settings) -> dict[str, object]:
    """What OpenVINO is told of threads; it runs on the CPU alone.

    Raises:
        InputError: another device is asked for.
    """
    if settings.device != "cpu":
        raise InputError("The openvino runtime runs on the CPU only", found=settings.device)
    return {"INFERENCE_NUM_THREADS": settings.threads, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY"}
