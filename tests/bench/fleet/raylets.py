"""A real Ray cluster on one machine: a head, and a raylet for each simulated machine."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.small_study import small_study

RAY = Path(sys.executable).with_name("ray")
ROOT = Path(__file__).parents[3]
HERE = "127.0.0.1"
"""Ray replaces it by the address of this machine."""
OBJECT_STORE_BYTES = 80_000_000
START_SECONDS = 240


def study_of_rulers(*, threads: list[int], processes: int, machines: dict[str, int] | None = None) -> str:
    """The text of a study that times only the instrument's own runtimes, so that a group takes seconds."""
    return small_study(
        limit=96,
        sizes=(12,),
        epochs=0.2,
        train={"frameworks": ["torch"], "parity_steps": 0},
        export={"exporters": []},
        bench={
            "runtimes": ["null", "calibrated", "calibrated.slower10"],
            "batches": [1],
            "threads": threads,
            "processes": processes,
            "blocks": 4,
            "interval_width": 0,
            "budget_minutes": 4,
            "attribute": False,
        },
        fleet=({"machines": machines} if machines else {}) | {"selfcheck_minutes": 0, "wait_minutes": 5},
    )


@dataclass
class Cluster:
    """The cluster, and where its machines have their files.

    Attributes:
        port: port of its head.
        client_port: port for clients, "ray://127.0.0.1:PORT".
        started: by name, the processes of each machine.
    """

    folder: Path
    port: int
    client_port: int
    started: dict[str, list[psutil.Process]] = field(default_factory=dict)

    @property
    def address(self) -> str:
        return f"{HERE}:{self.port}"

    def add(self, name: str, kind: str = "k1") -> None:
        """Start a machine with one core, and its own name, disk and lock, or start it again after it was killed."""
        own = self.folder / name
        (own / "turn").mkdir(parents=True, mode=0o700, exist_ok=True)
        told = {
            "ASSAY_MACHINE": name,
            "ASSAY_INSTANCE_TYPE": kind,
            "ASSAY_CACHE": str(own / "cache"),
            "ASSAY_RUNTIME_DIR": str(own / "turn"),
        }
        self.start(name, [f"--address={self.address}", "--num-cpus=1", f"--labels=kind={kind},name={name}"], told)

    def start(self, name: str, options: list[str], told: Mapping[str, str]) -> None:
        """Run `ray start`, and note the processes that it leaves."""
        before = {one.pid for one in psutil.process_iter()}
        environment = os.environ | dict(told) | {"RAY_USAGE_STATS_ENABLED": "0", "PYTHONPATH": str(ROOT)}
        said = self.folder / f"{name}.log"
        with said.open("w") as stream:  # no pipe: what it leaves behind would keep one open
            store = f"--object-store-memory={OBJECT_STORE_BYTES}"
            command = [RAY, "start", "--disable-usage-stats", store, *options]
            done = subprocess.run(
                command, env=environment, stdout=stream, stderr=stream, timeout=START_SECONDS, check=False
            )
        assert done.returncode == 0, said.read_text()
        self.started[name] = [
            one for one in psutil.process_iter(["cmdline"]) if one.pid not in before and _is_of(one, self)
        ]

    def below(self, name: str) -> list[psutil.Process]:
        """The processes that do the work of a machine."""
        found: set[psutil.Process] = set()
        for process in self.started[name]:
            with contextlib.suppress(psutil.NoSuchProcess):
                found |= set(process.children(recursive=True))
        return sorted(found - set(self.started[name]), key=lambda one: one.pid)

    def kill(self, name: str) -> None:
        """End a machine as a power failure does."""
        for process in self.started.pop(name):
            _kill(process)


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """A cluster without machines, which ends with everything that was added."""
    with socket.socket() as one, socket.socket() as other:
        one.bind((HERE, 0))
        other.bind((HERE, 0))
        found = Cluster(folder, one.getsockname()[1], other.getsockname()[1])
    options = [f"--port={found.port}", f"--ray-client-server-port={found.client_port}", "--include-dashboard=false"]
    try:
        found.start("head", ["--head", "--num-cpus=0", *options], {})
        yield found
    finally:
        for name in list(found.started):
            found.kill(name)


def _is_of(process: psutil.Process, of: Cluster) -> bool:
    words = " ".join(process.info["cmdline"] or [])
    return str(of.port) in words and "ray" in words


def _kill(process: psutil.Process) -> None:
    try:
        below = process.children(recursive=True)
        process.send_signal(signal.SIGKILL)
    except psutil.NoSuchProcess:
        return
    for one in below:  # what a raylet started ends when it is gone; a power cut does not wait for that
        try:
            one.send_signal(signal.SIGKILL)
        except psutil.NoSuchProcess:
            continue
