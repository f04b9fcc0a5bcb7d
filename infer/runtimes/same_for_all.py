"""Settings that must be the same for all compared runtimes, each applied here and nowhere else.

They are cores, threads, device, and no TF32 where a cell says fp32. On a GPU every framework chooses its kernels by
timing them, as all but PyTorch do by default, and allocates memory as it needs it, as PyTorch and ONNX
Runtime do by default; on the CPU no framework can see a GPU. Many of these settings can only be made in a process's
environment, before a framework is imported or finds its device. The framework is imported when its settings are made.
"""
# ruff: noqa: PLC0415

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from assay.boxed.platform import can_pin, own_threads, pin
from assay.errors import InputError
from assay.spec import AS_THE_DRIVER_NUMBERS, CPU_ONLY, CUDA_PROVIDER, Settings

if TYPE_CHECKING:
    import jax
    import onnxruntime
    import torch

    from assay.infer.runtime import ModelFiles, Session

Loaded = TypeVar("Loaded", bound="Session[Any]")
CPU_ALONE = 'Set bench.device = "cpu" in the study file'
TF32_OFF = {"TF32": "off"}
"""The CPU has no TF32, and CUDA is told not to use it."""
TF32_ON_A_GPU = "Only NVIDIA GPUs compute in TF32"
AUTOTUNING = "--xla_gpu_autotune_level"
"""XLA's flag, in JAX and TensorFlow alike: 4 chooses products and convolutions by timing them, and checks their
answers.
"""


def begin(cores: Iterable[int], device: str) -> None:
    """Prepare a process for a framework that is not imported yet."""
    os.environ.update(environment_for(device, os.environ))
    run_on(cores)


def environment_for(device: str, own: Mapping[str, str]) -> dict[str, str]:
    """Return the environment variables for frameworks in a process that computes on a device.

    Args:
        device: "cpu" or "cuda".
        own: the present environment; its other flags for XLA are kept.
    """
    if device == "cpu":
        return dict(CPU_ONLY)
    flags = [one for one in own.get("XLA_FLAGS", "").split() if not one.startswith(f"{AUTOTUNING}=")]
    return {
        **AS_THE_DRIVER_NUMBERS,
        "XLA_FLAGS": " ".join([*flags, f"{AUTOTUNING}=4"]),
        "TF_CUDNN_USE_AUTOTUNE": "1",
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
    }


def told(device: str) -> dict[str, str]:
    """Return the present settings of a process for its GPU, by the names of the switches; none on the CPU."""
    if device == "cpu":
        return {}
    found = {name: os.environ.get(name, "not set") for name in environment_for(device, {})}
    torch = sys.modules.get("torch")
    return found | ({"torch.backends.cudnn.benchmark": str(torch.backends.cudnn.benchmark)} if torch else {})


def run_on(cores: Iterable[int]) -> None:
    """Pin all threads of this process, and those that they start, to these cores; to none if no cores are given.

    It is also called before a framework is imported: thread pools take the cores that they find when they start.
    """
    wanted = tuple(cores)
    if not wanted or not can_pin():
        return
    pin(0, wanted)
    for _ in range(2):  # a thread may have been started while the others were looked through
        for thread in own_threads():
            with suppress(ProcessLookupError):  # it has ended
                pin(thread, wanted)


def torch_device(settings: Settings) -> torch.device:
    """Return PyTorch's device, after setting its threads.

    Raises:
        InputError: CUDA is asked for and there is none.
    """
    import torch

    torch.set_num_threads(settings.threads)
    with suppress(RuntimeError):  # it can be set only once in a process
        torch.set_num_interop_threads(1)
    if settings.device == "cuda" and not torch.cuda.is_available():
        raise InputError("PyTorch finds no CUDA device", remedy=CPU_ALONE)
    if settings.device == "cuda":
        tell_torch_of_gpu()
    return torch.device(settings.device)


def tell_torch_of_gpu() -> None:
    """Make fp32 mean fp32, and let cuDNN choose its kernels by timing them."""
    import torch

    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True


def need_gpu(settings: Settings, why: str) -> None:
    """
    Args:
        why: the sentence that says so.

    Raises:
        InputError: the device is not an NVIDIA GPU.
    """
    if settings.device != "cuda":
        raise InputError(why, found=settings.device)


def in_tf32(
    load: Callable[[ModelFiles, Settings], Loaded], let_round: Callable[[], None]
) -> Callable[[ModelFiles, Settings], Loaded]:
    """Return a loader of the same sessions on a GPU, which may round fp32 to TF32. A session that is traced or compiled
    at its first call is so after its framework has been told.

    Loading raises InputError on a device that has no TF32.
    """

    def loaded(model: ModelFiles, settings: Settings) -> Loaded:
        need_gpu(settings, TF32_ON_A_GPU)
        session = load(model, settings)
        let_round()
        session.precision = "tf32"
        return session

    return loaded


def let_torch_round() -> None:
    """Products and convolutions of fp32 may be computed in TF32 from now on, and so in the other two."""
    import torch

    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True


def let_tensorflow_round() -> None:
    """See `let_torch_round`."""
    import tensorflow as tf

    tf.config.experimental.enable_tensor_float_32_execution(True)


def let_jax_round() -> None:
    """See `let_torch_round`."""
    import jax

    jax.config.update("jax_default_matmul_precision", "tensorfloat32")


def tensorflow_device(settings: Settings) -> str:
    """Return TensorFlow's name of its device, after setting its threads.

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
    """Return JAX's device. On the CPU it has no thread setting: the worker's pinned cores limit it.

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
    """Return options for a session of ONNX Runtime, with its threads."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = settings.threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return options


def onnxruntime_on_cuda(*, tf32: bool = False) -> list[tuple[str, dict[str, str]]]:
    """Return ONNX Runtime's provider for CUDA, with its settings.

    Args:
        tf32: it may round fp32 to TF32.

    Raises:
        InputError: this onnxruntime has none.
    """
    import onnxruntime

    # CUDA's and cuDNN's libraries from their packages, where it does not look by itself. If its provider is a plug-in,
    # it is registered when they are loaded, and not listed before.
    onnxruntime.preload_dlls()
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        raise InputError(
            "This onnxruntime has no CUDA execution provider",
            found=", ".join(onnxruntime.get_available_providers()),
            remedy="On a machine with an NVIDIA GPU install the extra 'gpu' and remove the package 'onnxruntime', "
            "which writes the same files (docs/how-to/install.md)",
        )
    return [("CUDAExecutionProvider", CUDA_PROVIDER | ({"use_tf32": "1"} if tf32 else {}))]


def openvino_properties(settings: Settings) -> dict[str, object]:
    """Return OpenVINO's properties for threads; it runs on the CPU alone.

    Raises:
        InputError: another device is asked for.
    """
    if settings.device != "cpu":
        raise InputError("The openvino runtime runs on the CPU only", found=settings.device)
    return {"INFERENCE_NUM_THREADS": settings.threads, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY"}
