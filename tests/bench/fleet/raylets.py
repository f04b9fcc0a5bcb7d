"""A real Ray cluster on one machine: a head, and a raylet for each simulated machine."""

from __future__ import annotations

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

RAY = Path(sys.executable).with_name("ray")
LOOPBACK = "127.0.0.1"
START_SECONDS = 120


@dataclass
class Cluster:
    """The cluster, and where its machines have their files.

    Attributes:
        started: by name, the processes of each machine.
    """

    folder: Path
    port: int
    started: dict[str, list[psutil.Process]] = field(default_factory=dict)

    @property
    def address(self) -> str:
        return f"{LOOPBACK}:{self.port}"

    def add(self, name: str, kind: str = "k1") -> None:
        """Start a machine with one core, and its own name, disk and lock."""
        own = self.folder / name
        (own / "turn").mkdir(parents=True, mode=0o700)
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
        environment = (
            os.environ | dict(told) | {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "1", "RAY_USAGE_STATS_ENABLED": "0"}
        )
        said = self.folder / f"{name}.log"
        with said.open("w") as stream:  # no pipe: what it leaves behind would keep one open
            command = [RAY, "start", f"--node-ip-address={LOOPBACK}", "--disable-usage-stats", *options]
            done = subprocess.run(
                command, env=environment, stdout=stream, stderr=stream, timeout=START_SECONDS, check=False
            )
        assert done.returncode == 0, said.read_text()
        self.started[name] = [
            one for one in psutil.process_iter(["cmdline"]) if one.pid not in before and _is_of(one, self)
        ]

    def kill(self, name: str) -> None:
        """End a machine as a power failure does."""
        for process in self.started.pop(name):
            _kill(process)


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """A cluster without machines, which ends with everything that was added."""
    with socket.socket() as free:
        free.bind((LOOPBACK, 0))
        found = Cluster(folder, free.getsockname()[1])
    try:
        found.start("head", ["--head", f"--port={found.port}", "--num-cpus=0", "--include-dashboard=false"], {})
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
