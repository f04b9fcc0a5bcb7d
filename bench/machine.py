"""The machine and the software on it: what a measurement was taken with."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import tempfile
from importlib import metadata
from pathlib import Path

import psutil
from pydantic import JsonValue

from assay.errors import AssayError
from assay.jobs import run_job
from infer.probe import PROBES

PROBE_SECONDS = 120
TELLING_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile", "amx_int8", "amx_bf16", "fma")
RECORDED_PACKAGES = (
    "torch", "tensorflow", "tensorflow-cpu", "keras", "jax", "jaxlib", "flax", "optax", "onnx", "onnxruntime",
    "onnxruntime-gpu", "onnxscript", "tf2onnx", "jax2onnx", "openvino", "numpy", "scipy", "medmnist",
)  # fmt: skip


def environment() -> dict[str, JsonValue]:
    """Processor, memory, load, operating system, interpreter and package versions."""
    return {
        "processor": processor_name(),
        "features": [flag for flag in TELLING_FLAGS if flag in _cpuinfo().get("flags", "").split()],
        "cores": os.cpu_count() or 1,
        "usable_cores": len(usable_cores()),
        "frequency_governor": _read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor") or "not shown",
        "virtualisation": "yes" if "hypervisor" in _cpuinfo().get("flags", "").split() else "none seen",
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "load_1_minute": round(psutil.getloadavg()[0], 2),
        "gpus": list(gpus()),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "packages": dict(package_versions()),
    }


def processor_name() -> str:
    return _cpuinfo().get("model name") or platform.processor() or platform.machine()


def usable_cores() -> tuple[int, ...]:
    """Numbers of the cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))


def gpus() -> tuple[str, ...]:
    """Names of the NVIDIA GPUs, as nvidia-smi lists them; none where there is no such program."""
    program = shutil.which("nvidia-smi")
    if not program:
        return ()
    listing = subprocess.run(
        [program, "--query-gpu=name,driver_version", "--format=csv,noheader"],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    return tuple(line.strip() for line in listing.stdout.splitlines()) if listing.returncode == 0 else ()


def package_versions() -> dict[str, str]:
    """Versions of the packages that matter to a measurement, of those that are installed."""
    installed = {}
    for name in RECORDED_PACKAGES:
        try:
            installed[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return installed


def probe_frameworks() -> dict[str, dict[str, str]]:
    """What each framework says of itself; {"missing": reason} for one that cannot be imported."""
    found: dict[str, dict[str, str]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in PROBES:
            try:
                answer = run_job(
                    "infer.probe", {"framework": name}, Path(folder) / f"{name}.log", limit_seconds=PROBE_SECONDS
                )
                found[name] = {key: str(value) for key, value in answer.items()}
            except AssayError as error:
                found[name] = {"missing": str(error)}
    return found


def _cpuinfo() -> dict[str, str]:
    """The first processor's entries of /proc/cpuinfo; empty elsewhere than on Linux."""
    entries: dict[str, str] = {}
    for line in _read("/proc/cpuinfo").splitlines():
        if not line.strip():
            break
        key, _, value = line.partition(":")
        entries[key.strip()] = value.strip()
    return entries


def _read(path: str) -> str:
    file = Path(path)
    return file.read_text(encoding="utf-8", errors="replace").strip() if file.is_file() else ""
