"""Facts that one framework finds on this machine, in a process of its own: `python -P -m assay.infer.probe`."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from importlib import metadata

from assay.entries import load_function
from assay.errors import InputError, missing
from assay.jobs.job import Job
from assay.jobs.serving import serve_job
from assay.records.base import Record
from assay.registry import RUNTIMES

Found = dict[str, str]


def torch() -> Found:
    """Return PyTorch's version, devices, build and settings.

    Raises:
        ModuleNotFoundError: it is not installed, here and in the others.
    """
    module = importlib.import_module("torch")
    devices = [module.cuda.get_device_name(i) for i in range(module.cuda.device_count())]
    return {
        "version": module.__version__,
        "devices": ", ".join(["cpu", *devices]),
        "threads": f"{module.get_num_threads()} intra-op, {module.get_num_interop_threads()} inter-op",
        "build": f"oneDNN {module.backends.mkldnn.is_available()}, MKL {module.backends.mkl.is_available()}",
        **_torch_libraries(module.__config__.show()),
        "matmul precision": module.get_float32_matmul_precision(),
        "TF32": f"matmul {module.backends.cuda.matmul.allow_tf32}, cuDNN {module.backends.cudnn.allow_tf32}",
        "instructions used": module.backends.cpu.get_cpu_capability(),
    }


def _torch_libraries(build: str) -> Found:
    """Return oneDNN's and MKL's versions, from the lines of PyTorch's description of its build."""
    names = {"oneDNN": "MKL-DNN", "MKL": "oneAPI Math Kernel Library"}
    lines = [line.strip(" -") for line in build.splitlines()]
    return {name: line for name, text in names.items() for line in lines if text in line}


def tf() -> Found:
    """Return TensorFlow's version, devices, build and settings."""
    module = importlib.import_module("tensorflow")
    threading = module.config.threading
    return {
        "version": module.__version__,
        "devices": ", ".join(device.name for device in module.config.list_physical_devices()),
        "threads": f"{threading.get_intra_op_parallelism_threads() or 'all'} intra-op, "
        f"{threading.get_inter_op_parallelism_threads() or 'all'} inter-op",
        "keras": importlib.import_module("keras").__version__,
        "oneDNN": os.environ.get("TF_ENABLE_ONEDNN_OPTS", "default"),
        "build": ", ".join(f"{name} {value}" for name, value in module.sysconfig.get_build_info().items()),
        "precision policy": module.keras.mixed_precision.global_policy().name,
        "TF32": str(module.config.experimental.tensor_float_32_execution_enabled()),
        "XLA_FLAGS": os.environ.get("XLA_FLAGS", "not set"),
        "TF_XLA_FLAGS": os.environ.get("TF_XLA_FLAGS", "not set"),
    }


def jax() -> Found:
    """Return JAX's version, devices, build and settings."""
    module = importlib.import_module("jax")
    return {
        "version": module.__version__,
        "devices": ", ".join(str(device) for device in module.devices()),
        "threads": "limited by the process's cores alone",
        "flax": importlib.import_module("flax").__version__,
        "XLA_FLAGS": os.environ.get("XLA_FLAGS", "not set"),
        "XLA build": importlib.import_module("jax.extend.backend").get_backend().platform_version.strip(),
        "matmul precision": str(module.config.jax_default_matmul_precision or "default"),
        "float64": str(module.config.jax_enable_x64),
    }


def onnxruntime() -> Found:
    """Return ONNX Runtime's version, devices and build."""
    module = importlib.import_module("onnxruntime")
    module.preload_dlls()  # a provider that is a plug-in is listed when CUDA is loaded
    return {
        "version": module.__version__,
        "devices": module.get_device(),
        "execution providers": ", ".join(module.get_available_providers()),
        "onnx": importlib.import_module("onnx").__version__,
        "build": module.get_build_info(),
    }


def openvino() -> Found:
    """Return OpenVINO's version and devices, and the precisions that it computes in."""
    module = importlib.import_module("openvino")
    core = module.Core()
    return {
        "version": module.__version__,
        "devices": ", ".join(core.available_devices),
        "cpu capabilities": ", ".join(core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")),
        "inference precision": f"{core.get_property('CPU', 'INFERENCE_PRECISION_HINT').get_type_name()} by default",
    }


def litert() -> Found:
    """Return LiteRT's version."""
    importlib.import_module("ai_edge_litert.interpreter")
    return {"version": metadata.version("ai-edge-litert"), "devices": "cpu", "delegate": "XNNPACK"}


class FrameworkRequest(Record):
    """The library to probe."""

    framework: str


class FrameworkFacts(Record):
    """Facts that a library tells about itself."""

    facts: dict[str, str]


FRAMEWORK = Job("assay.infer.probe", "framework", FrameworkRequest, FrameworkFacts, sees_gpu=True)


def work(request: FrameworkRequest) -> FrameworkFacts:
    """Probe the library named in the request."""
    name = request.framework
    known = {family.library: family for family in RUNTIMES.families if family.probe}
    if name not in known:
        raise InputError(f"There is no probe for '{name}'", expected=", ".join(known))
    family = known[name]
    try:
        probe: Callable[[], Found] = load_function(name, family.probe)
        return FrameworkFacts(facts=probe())
    except ModuleNotFoundError as error:
        raise missing(name, error, family.extra) from error


if __name__ == "__main__":
    serve_job(FRAMEWORK.done_by(work))
