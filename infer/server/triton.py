"""The Triton server on this machine: where it runs, how it is started, and how it is ended.

It is the server program inside the nvidia-pytriton package, in a tool environment of its own
(infer/server/envs/triton.txt), with `infer/server/opened/in_triton.py` as its backend "onnxruntime". It listens on unix
sockets in a folder of its own; the ports are those of a filter in front of it (`infer/front`).
"""

from __future__ import annotations

import importlib.util
import json
import platform
import shutil
import socket
import sys
import sysconfig
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from assay import toolenv
from assay.boxed.processes import below
from assay.errors import FailedError, NotInstalledError, installed_by
from assay.infer.server.front.contract import Contract
from assay.infer.server.front.places import CONTRACT_FILE, GRPC, GRPC_PORT, HTTP, METRICS
from assay.infer.server.opened.elsewhere import COMMAND
from assay.infer.server.ports import LOOPBACK_HOSTS, WORK_PREFIX, Addresses, Ports, address_of, is_loopback
from assay.jobs.logs import log_tail
from assay.jobs.patience import Patience, spent_by
from assay.jobs.process import NO_TELEMETRY
from assay.jobs.programs import Standing
from assay.records.deployment import Deployment
from assay.steps import BYTES_A_SECOND, size_of, waiting_for
from assay.store import reporting_disk_errors

HERE = Path(__file__).parent
REQUIREMENTS = HERE / "envs" / "triton.txt"
OPENED = HERE / "opened"
BACKEND = {"model.py": OPENED / "in_triton.py", "open_model.py": OPENED / "on_ort.py"}
"""Files of the backend "onnxruntime", by their names in its folder."""
ELSEWHERE = OPENED / "elsewhere.py"
CHILD = [sys.executable, "-I", "-m", "assay.infer.server.opened.in_child"]
GUARD = HERE / "triton_guard.py"

READY_SECONDS, STOP_SECONDS = 60.0, 10.0
"""Limits to become ready and to stop. The first is for a server with a small model; a large one takes longer to be
read.
"""
OLDEST_GLIBC = (2, 35)
PYTHONS = ("3.8", "3.9", "3.10", "3.11", "3.12", "3.13")
PROGRAM, WORKER = "tritonserver", "triton_python_backend_stub"
HARMLESS = "CudaDriverHelper has not been initialized"  # logged on a machine without a GPU

FRONT_PACKAGES = ("hpack", "httptools", "tritonclient", "uvloop")
NEVER = "assay-never=sent"
"""A header that requests of the forbidden kinds would need, and that the filter never writes."""

Progress = Callable[[str, int, int], None]


def why_not_here() -> str:
    """Return why the server cannot run on this platform; "" if it can."""
    system = f"{platform.system()} {platform.machine()}"
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        return f"its program is for Linux x86_64, and this is {system}"
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    if python not in PYTHONS or sys.implementation.name != "cpython":
        return f"it has no Python backend for {sys.implementation.name} {python}, only for CPython {', '.join(PYTHONS)}"
    name, version = platform.libc_ver()
    if name != "glibc" or tuple(map(int, version.split("."))) < OLDEST_GLIBC:
        return f"it needs glibc {'.'.join(map(str, OLDEST_GLIBC))} or newer, and this is {name or 'another'} {version}"
    return ""


@dataclass(frozen=True)
class ServerPlacement:
    """The place of a server.

    Attributes:
        host, ports: addresses on which the filter in front of it listens.
        cores: numbers of the processor cores on which it runs.
        log: file for everything it prints.
    """

    host: str
    ports: Ports
    cores: Sequence[int]
    log: Path


class TritonServer:
    """A running server; leaving the block stops it.

    Args:
        work: folder of this server's own, which is removed when the server has ended, however it ends.
        repository: the model repository, which may be in that folder. The server may be told to load from it again, so
            nobody else should write to it.
        contract: contract of the one model to load at the start, the only one that may be asked about.
        place: the place to run.
        progress: called when the environment has to be made first.

    Raises:
        NotInstalledError: the server cannot run here, its environment cannot be made, or the filter lacks a package.
        InputError: the log cannot be written.
        FailedError: the server ended before it was ready, or was not ready in time.
    """

    def __init__(
        self,
        work: Path,
        repository: Path,
        contract: Contract,
        place: ServerPlacement,
        *,
        progress: Progress,
    ) -> None:
        problem = why_not_here()
        if problem:
            raise NotInstalledError(
                f"The Triton server cannot run here: {problem}",
                remedy="Docker can, in the deployment's folder: docker compose -f docker/compose.yaml up --build",
            )
        missing = [name for name in FRONT_PACKAGES if importlib.util.find_spec(name) is None]
        if missing:
            raise NotInstalledError(
                f"The filter in front of the server needs {', '.join(missing)}",
                remedy=installed_by("serve"),
            )
        self.log = place.log
        self.addresses = Addresses(*(address_of(place.host, port) for port in place.ports))
        python = toolenv.ensure("triton", REQUIREMENTS, progress)
        began = time.monotonic()
        with reporting_disk_errors(self.log):
            self.log.parent.mkdir(parents=True, exist_ok=True)
            stream = self.log.open("wb")
        (work / CONTRACT_FILE).write_text(contract.model_dump_json(), encoding="utf-8")
        with stream:
            self._guard = _start(python, work, place, _arguments(work, repository, contract.model), stream)
        try:
            self._wait_until_ready(READY_SECONDS + 2 * size_of(repository) / BYTES_A_SECOND)
        except BaseException:
            self.stop()
            raise
        self.seconds_to_ready = time.monotonic() - began

    def running(self) -> bool:
        """Return whether the server's process is alive; `is_ready` says whether it answers."""
        return self._guard.running()

    def workers(self) -> int:
        """Count the living processes that run a model. The server does not restart one that was killed: it refuses that
        model's requests from then on, and still calls itself ready.
        """
        return sum(_is_worker(pid) for pid in below(self._guard.pid))

    def is_ready(self) -> bool:
        """Return whether the server says that it and its models are ready."""
        try:
            with urllib.request.urlopen(f"http://{self.addresses.http}/v2/health/ready", timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def stop(self) -> None:
        """End the server and its workers: the requests that it has are answered first, within the limit."""
        self._guard.stop(2 * STOP_SECONDS)

    def ended(self) -> FailedError:
        """Return the error that says that the server has ended by itself."""
        status = self._guard.ended()
        return FailedError(
            f"The Triton server ended with status {status}", found=_errors_in(self.log) or log_tail(self.log) or None
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _wait_until_ready(self, limit_seconds: float) -> None:
        doing, patience = "The start of the Triton server", Patience(limit_seconds, partial(spent_by, self._guard.pid))
        with waiting_for(doing, limit_seconds):
            while not self.is_ready():
                if not self.running():
                    raise self.ended()
                if why := patience.over():
                    raise FailedError(f"{doing} {why}", found=log_tail(self.log) or None)
                time.sleep(0.05)


def _is_worker(pid: int) -> bool:
    """Return whether this is a living worker of the server; one that has ended has no command line any more."""
    return WORKER in _read(Path(f"/proc/{pid}/cmdline")).partition("\0")[0]


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:  # the process has ended meanwhile
        return ""


def _errors_in(log: Path) -> str:
    """Return the errors in a server's log, on one line."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    texts = [line.partition("] ")[2].strip(' "') for line in lines if line.startswith("E")]
    return " | ".join(text for text in dict.fromkeys(texts) if HARMLESS not in text)[-1500:]


def contract_of(deployment: Deployment, host: str, work: Path, *, shared_memory: bool) -> Contract:
    """Return the contract for the server of a deployment that works in this folder.

    Args:
        host: the host on which it listens. Beyond loopback, clients may call it by any address, by this name and by the
            machine's name.
    """
    names = [*LOOPBACK_HOSTS, host.lower()] + ([] if is_loopback(host) else [socket.gethostname().lower()])
    return Contract(
        model=deployment.name,
        inputs=tuple(deployment.inputs),
        outputs=tuple(deployment.outputs),
        most_records=deployment.most_records,
        hosts=tuple(dict.fromkeys(names)),
        any_address=not is_loopback(host),
        shared_memory=shared_memory,
        memory_prefix=WORK_PREFIX,
    )


def _start(python: Path, work: Path, place: ServerPlacement, arguments: Sequence[str], log: IO[bytes]) -> Standing:
    """Start the guard, which starts the server, in an environment where the server's workers find their Python."""
    packages = _packages_of(python)
    server = packages / "pytriton" / "tritonserver"
    backends = work / "backends"
    shutil.copytree(server / "backends" / "python", backends / "python")
    stub = server / "python_backend_stubs" / f"{sys.version_info.major}.{sys.version_info.minor}"
    shutil.copy(stub / WORKER, backends / "python")
    (backends / "onnxruntime").mkdir()
    for name, file in BACKEND.items():
        shutil.copy(file, backends / "onnxruntime" / name)
    libraries = [str(packages / "nvidia_pytriton.libs"), sysconfig.get_config_var("LIBDIR")]
    environment = {
        "PATH": f"{python.parent}:/usr/bin:/bin",
        "LD_LIBRARY_PATH": ":".join(filter(None, libraries)),
        "HOME": str(work),
        "PYTHONDONTWRITEBYTECODE": "1",
        "LANG": "C.UTF-8",
        COMMAND: json.dumps(CHILD),
        **NO_TELEMETRY,
    }
    plan = {
        "folder": str(work),
        "shared_memory": f"{work.name}-",
        "stop_seconds": STOP_SECONDS,
        "cores": list(place.cores),
        "host": place.host,
        "port": place.ports.http,
        "server": [str(server / "bin" / PROGRAM), *arguments],
        "front": [sys.executable, "-I", "-m", "assay.infer.server.front", "."],
        "front_environment": {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"},
    }
    return Standing([sys.executable, "-I", str(GUARD), json.dumps(plan)], environment, prints_to=log, apart=True)


def _packages_of(python: Path) -> Path:
    return python.parents[1] / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"


def _arguments(work: Path, repository: Path, model: str) -> list[str]:
    """Return arguments with which only the one model is loaded, nothing is guessed, and nothing listens on the network.
    The sockets are in the folder that the server runs in.
    """
    return [
        f"--model-repository={repository}",
        "--model-control-mode=explicit",
        f"--load-model={model}",
        "--disable-auto-complete-config",
        f"--backend-directory={work / 'backends'}",
        f"--backend-config=python,shm-region-prefix-name={work.name}-",
        f"--http-address=unix:{HTTP}",
        f"--grpc-address=unix:{GRPC}",
        f"--grpc-port={GRPC_PORT}",
        f"--metrics-address=unix:{METRICS}",
        f"--http-restricted-api=logging,trace:{NEVER}",
        f"--grpc-restricted-protocol=model-repository,shared-memory,logging,trace:{NEVER}",
        "--allow-gpu-metrics=false",
        "--pinned-memory-pool-byte-size=0",  # it is for copies to a GPU
        f"--exit-timeout-secs={int(STOP_SECONDS / 2)}",
    ]
