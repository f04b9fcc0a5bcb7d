"""A real server for a test file: started once, serving a small model."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import pytest

from assay.infer import wire
from assay.infer.server.triton import why_not_here
from tests import serving_folder

ASSAY = Path(sys.executable).with_name("assay")


@dataclass
class Served:
    """A running `assay serve --json`, and its folder."""

    folder: Path
    process: subprocess.Popen[str]
    ready: dict[str, Any]

    @property
    def http(self) -> str:
        return str(self.ready["http"]).removeprefix("http://")

    @property
    def grpc(self) -> str:
        return str(self.ready["grpc"])

    @property
    def target(self) -> wire.Target:
        return wire.Target(
            http=self.http,
            grpc=self.grpc,
            model=serving_folder.NAME,
            inputs=tuple(serving_folder.INPUTS),
            outputs=tuple(serving_folder.OUTPUTS),
            most_records=serving_folder.MOST,
        )

    def event(self, *names: str) -> dict[str, Any]:
        """The next event with one of these names; earlier events are skipped."""
        for line in cast("IO[str]", self.process.stdout):
            found: dict[str, Any] = json.loads(line)
            if found["event"] in names:
                return found
        raise AssertionError(f"assay serve ended with status {self.process.wait()} and without {names}")


def start(folder: Path, log: Path, *options: str) -> Served:
    """Run `assay serve` and wait until it is ready."""
    process = subprocess.Popen(
        [str(ASSAY), "serve", str(folder), "--json", "--log", str(log), *options],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    served = Served(folder, process, {})
    served.ready = served.event("ready")
    return served


def stop(served: Served) -> int:
    """Send Ctrl-C, and return the exit status."""
    served.process.send_signal(signal.SIGINT)
    with served.process:
        cast("IO[str]", served.process.stdout).read()
    return served.process.returncode


@pytest.fixture(scope="session")
def platform() -> None:
    problem = why_not_here()
    if problem:
        pytest.skip(f"The Triton server cannot run here: {problem}")


@pytest.fixture(scope="module")
def served(platform: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Version 1 of two, being served, with shared memory."""
    place = tmp_path_factory.mktemp("served")
    folder = serving_folder.write_folder(place / "deployment", versions=2)
    found = start(folder, place / "server.log", "--shared-memory")
    yield found
    if found.process.poll() is None:
        assert stop(found) == 0


def descendants(pid: int) -> set[int]:
    """All processes below one."""
    found: set[int] = set()
    for child in Path(f"/proc/{pid}/task").glob("*/children"):
        for word in child.read_text().split():
            found |= {int(word)} | descendants(int(word))
    return found


def alive(pid: int) -> bool:
    """Whether such a process exists and has not ended."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
