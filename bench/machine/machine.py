"""The machine and the software on it, with which a measurement was taken."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path

import psutil
from pydantic import JsonValue

from assay.bench.machine.disturbance import busy_seconds, stolen_seconds
from assay.bench.machine.fingerprint import fingerprint, parse_cpuinfo, shown_in
from assay.bench.machine.kind import read_identity, read_kind
from assay.boxed.platform import can_pin
from assay.boxed.platform import usable_cores as cores_usable_by
from assay.errors import AssayError, DiskError, InputError
from assay.fleet.kind import IDENTITY, KIND, MachineKind
from assay.infer.probe import FRAMEWORK, FrameworkRequest
from assay.infer.server.ports import is_on_loopback
from assay.jobs.host import Starter
from assay.jobs.programs import run_program
from assay.jobs.running import LateError, run_job
from assay.registry import RUNTIMES
from assay.steps import Limit, load_seconds

TELLING_VARIABLES = (
    "OMP_NUM_THREADS", "MKL_NUM_THREADS", "KMP_AFFINITY", "KMP_BLOCKTIME", "ONEDNN_MAX_CPU_ISA", "MKL_CBWR",
    "TF_ENABLE_ONEDNN_OPTS", "TF_XLA_FLAGS", "XLA_FLAGS", "JAX_DEFAULT_MATMUL_PRECISION", "NVIDIA_TF32_OVERRIDE",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE", "ONEDNN_DEFAULT_FPMATH_MODE",
    "MALLOC_CONF", "GRPC_EXPERIMENTS",
)  # fmt: skip
FREQUENCY = "/sys/devices/system/cpu/cpu0/cpufreq"
DRIVER = Path("/proc/driver/nvidia/gpus")
LIST_SECONDS = 30.0
NOT_SHOWN = "not shown"
MOST_LOAD, MOST_STOLEN = 0.5, 0.01
RECORDED_PACKAGES = (
    "torch", "tensorflow", "tensorflow-cpu", "keras", "jax", "jaxlib", "flax", "optax", "onnx", "onnxruntime",
    "onnxruntime-gpu", "onnxscript", "tf2onnx", "jax2onnx", "openvino", "ai-edge-litert", "torchao", "nncf", "numpy",
    "scipy", "medmnist",
    "tritonclient", "grpcio",
)  # fmt: skip


def environment() -> dict[str, JsonValue]:
    """Return the processor and what affects its speed, memory, load, operating system, interpreter and package
    versions.
    """
    kind = _this_kind()
    return {
        "processor": fingerprint().name,
        "fingerprint": fingerprint().model_dump(mode="json"),
        KIND: kind.model_dump(mode="json", exclude={"processor"}),
        IDENTITY: read_identity(Path("/")).model_dump(mode="json"),
        "features": list(fingerprint().features),
        "cores": os.cpu_count() or 1,
        "usable_cores": len(usable_cores()),
        "threads_per_core": threads_per_core(),
        "frequency_governor": shown_in(f"{FREQUENCY}/scaling_governor") or NOT_SHOWN,
        "frequency_mhz": dict(frequency_mhz()),
        "turbo": turbo(),
        "virtualisation": virtualisation(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "load_1_minute": round(psutil.getloadavg()[0], 2),
        "stolen_share_since_start": stolen_share(),
        "gpus": list(kind.gpus),
        "system": f"{platform.system()} {platform.machine()}",
        "kernel": platform.release(),
        "python": platform.python_version(),
        "packages": dict(package_versions()),
        "variables": dict(telling_variables()),
    }


def _this_kind() -> MachineKind:
    """Return the kind that this machine is of."""
    return read_kind(Path("/"), fingerprint(), usable_cores(), gpus())


def usable_cores() -> tuple[int, ...]:
    """Return the numbers of the cores that this process may run on."""
    return cores_usable_by()


def check_cores(problem: str, wanted: int, cores: Sequence[int]) -> None:
    """
    Raises:
        InputError: this process may use fewer than so many cores; `problem` says what is wrong.
    """
    most = len(cores)
    if wanted > most:
        raise InputError(problem, expected=f"at most {most}", found=str(wanted))


def cores_of_server(address: str, program: str) -> tuple[int, ...] | None:
    """Return the numbers of the cores that a program listening on this machine's loopback may use.

    Args:
        address: HOST:PORT.
        program: name of the program.

    Returns:
        None if unknown: it runs on another machine or in a container, or is not this program.
    """
    if not is_on_loopback(address) or not can_pin():
        return None
    port = int(address.rpartition(":")[2])
    with contextlib.suppress(psutil.Error, OSError):
        for one in psutil.net_connections("tcp"):
            here = one.status == psutil.CONN_LISTEN and one.laddr and one.laddr.port == port
            found = _of_this_name(psutil.Process(one.pid), program) if here and one.pid else None
            if found is not None:
                return cores_usable_by(found.pid)
    return None


def _of_this_name(listening: psutil.Process, program: str) -> psutil.Process | None:
    """Return the process of this name behind a port: the one that listens or, if that is a filter, one beside or below
    it.
    """
    parent = listening.parent()
    near = [listening, *listening.children(), *(parent.children() if parent else [])]
    return next((one for one in near if one.name() == program), None)


def threads_per_core() -> int | str:
    """Return the number of hardware threads on a physical core, as far as the system shows it; 1 without SMT."""
    siblings = shown_in("/sys/devices/system/cpu/cpu0/topology/thread_siblings_list")
    return len(cores_in(siblings)) if siblings else NOT_SHOWN


def cores_in(text: str) -> list[int]:
    """Return the numbers in Linux's notation for sets of cores, "0-2,5"."""
    found: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found


def frequency_mhz() -> dict[str, float]:
    """Return the present, least and greatest frequency of the first core, as far as they are shown."""
    files = {"now": "scaling_cur_freq", "least": "scaling_min_freq", "most": "scaling_max_freq"}
    shown = {name: shown_in(f"{FREQUENCY}/{file}") for name, file in files.items()}
    found = {name: int(text) / 1000 for name, text in shown.items() if text.isdigit()}
    processors = parse_cpuinfo(shown_in("/proc/cpuinfo"))
    present = processors[0].get("cpu MHz") if processors else None
    return found or ({"now": float(present)} if present else {})


def turbo() -> str:
    """Return whether the processor may exceed its nominal frequency."""
    intel = shown_in("/sys/devices/system/cpu/intel_pstate/no_turbo")
    boost = shown_in("/sys/devices/system/cpu/cpufreq/boost")
    return {"0": "on", "1": "off"}.get(intel) or {"1": "on", "0": "off"}.get(boost) or NOT_SHOWN


def virtualisation() -> str:
    """Return "none seen", or the hypervisor and the container that are seen, as far as they identify themselves."""
    seen = [fingerprint().hypervisor] if fingerprint().hypervisor else []
    if Path("/.dockerenv").exists() or Path("/run/.containerenv").exists():
        seen.append("container")
    return ", ".join(seen) or "none seen"


def stolen_share() -> float | str:
    """Return the share of the processor time wanted since the machine started that a hypervisor gave to others."""
    cores = usable_cores()
    stolen, busy = stolen_seconds(cores), busy_seconds(cores)
    if stolen is None or busy is None:
        return NOT_SHOWN
    return round(stolen / max(stolen + busy, 1e-9), 4)


def telling_variables() -> dict[str, str]:
    """Return the environment variables that are set and change how libraries compute."""
    return {name: os.environ[name] for name in TELLING_VARIABLES if name in os.environ}


def advice(facts: Mapping[str, JsonValue]) -> list[str]:
    """Return what to change for a quieter machine, one sentence each, from the facts of `environment`; pure."""
    found = []
    governor = facts.get("frequency_governor")
    if governor not in (None, NOT_SHOWN, "performance"):
        found.append(
            f"The frequency governor is '{governor}': set 'performance' (sudo cpupower frequency-set -g performance)."
        )
    if facts.get("turbo") == "on":
        found.append(
            "Turbo is on, so speed depends on temperature and on the other cores: turn it off for comparisons."
        )
    load, cores = facts.get("load_1_minute"), facts.get("cores")
    if isinstance(load, int | float) and isinstance(cores, int) and load > MOST_LOAD * cores:
        found.append(f"The load is {load:g} on {cores} cores: stop other programs.")
    if facts.get("usable_cores") == 1:
        found.append("One core must run both the workers and their conductor: give the process two or more.")
    threads = facts.get("threads_per_core")
    if isinstance(threads, int) and threads > 1:
        found.append(
            f"{threads} hardware threads share each core (SMT): turn it off "
            "(echo off | sudo tee /sys/devices/system/cpu/smt/control) or leave the siblings idle."
        )
    return found + _advice_on_guests(facts)


def _advice_on_guests(facts: Mapping[str, JsonValue]) -> list[str]:
    found = []
    stolen = facts.get("stolen_share_since_start")
    if isinstance(stolen, int | float) and stolen > MOST_STOLEN:
        found.append(f"A hypervisor withheld {stolen:.1%} of the processor time wanted: use a host that is not shared.")
    seen = str(facts.get("virtualisation", ""))
    if "hypervisor" in seen:
        found.append(
            "The machine is virtual, and other virtual machines can disturb it without being seen: "
            "prefer bare metal or dedicated cores."
        )
    return found


def gpus() -> tuple[str, ...]:
    """Return the names of the NVIDIA GPUs, as nvidia-smi lists them or, where that is not installed, the driver."""
    program = shutil.which("nvidia-smi")
    by_driver = tuple(map(_gpu_of_driver, sorted(DRIVER.glob("*/information"))))
    if not program:
        return by_driver
    try:
        listing = run_program([program, "--query-gpu=name,driver_version", "--format=csv,noheader"], LIST_SECONDS)
    except (OSError, LateError):  # it waits for a driver that does not answer
        return by_driver
    return tuple(line.strip() for line in listing.out.splitlines()) if listing.status == 0 else ()


def _gpu_of_driver(path: Path) -> str:
    """The name of a GPU in what NVIDIA's driver says of it, lines like "Model: NVIDIA H200"."""
    told = dict(line.partition(":")[::2] for line in shown_in(path).splitlines())
    return told.get("Model", "").strip() or path.parent.name


def package_versions() -> dict[str, str]:
    """Return the versions of installed packages that matter to a measurement."""
    installed = {}
    for name in RECORDED_PACKAGES:
        try:
            installed[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return installed


def probe_frameworks(host: Starter, names: Iterable[str] | None = None) -> dict[str, dict[str, str]]:
    """Return what each framework says of itself; {"missing": reason} if it cannot be imported. Others are left out.

    Args:
        names: names of libraries, as families of runtimes have them; None for those of all families.
    """
    found: dict[str, dict[str, str]] = {}
    known = [family.library for family in RUNTIMES.families if family.probe]
    wanted = set(known if names is None else names)
    with tempfile.TemporaryDirectory() as folder:
        for name in [one for one in known if one in wanted]:
            try:
                asked, log = FrameworkRequest(framework=name), Path(folder) / f"{name}.log"
                limit = Limit(load_seconds(), f"Asking what {name} is here")
                found[name] = run_job(FRAMEWORK, asked, log, limit_seconds=limit, host=host).facts
            except DiskError:
                raise  # the machine's failure, not this one's
            except AssayError as error:
                found[name] = {"missing": str(error)}
    return found
