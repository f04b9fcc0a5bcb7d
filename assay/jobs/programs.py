"""Programs that are no jobs of ours: uv, run to its end with a limit like that of a job, or a server that stays."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from assay.boxed.platform import end_group, why_no_jobs
from assay.jobs.patience import Patience, spent_by
from assay.jobs.process import end_with_the_rest
from assay.jobs.running import LateError

TURN_SECONDS = 0.2


@dataclass(frozen=True)
class Ended:
    """A program that has ended: its exit status, negative for a signal, and what it printed."""

    status: int
    out: str
    errors: str


def run_program(command: list[str], limit_seconds: float, *, folder: Path | None = None) -> Ended:
    """Run a program without input, and end it with all of its group where it takes too long.

    Args:
        limit_seconds: see `assay.jobs.patience.Patience`.
        folder: where it runs; None for here.

    Raises:
        OSError: it cannot be started.
        LateError: it took too long, or hung.
    """
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=folder,
        start_new_session=True,
    ) as process:
        patience = Patience(limit_seconds, lambda: spent_by(process.pid))
        try:
            while True:
                end_with_the_rest()
                try:
                    out, errors = process.communicate(timeout=min(TURN_SECONDS, patience.due))
                    break
                except subprocess.TimeoutExpired:
                    if why := patience.over():
                        raise LateError(f"{Path(command[0]).name} {why}") from None
        finally:
            process.kill()
            if not why_no_jobs():
                with contextlib.suppress(ProcessLookupError, PermissionError):  # what it started has ended, too
                    end_group(process.pid)
    return Ended(process.returncode, out.decode("utf-8", "replace"), errors.decode("utf-8", "replace"))


class Standing:
    """A program beside this process that takes its orders from standard input and ends when that closes.

    Args:
        environment: all of its variables.
        prints_to: file for everything that it prints; None where `line` reads it.
        apart: whether it has a session of its own, so that no signal to this process's group reaches it.

    Attributes:
        pid: its number.

    Raises:
        OSError: it cannot be started.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        prints_to: IO[bytes] | None = None,
        folder: Path | None = None,
        apart: bool = False,
    ) -> None:
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if prints_to is None else prints_to,
            stderr=None if prints_to is None else subprocess.STDOUT,
            cwd=folder,
            env=environment,
            start_new_session=apart,
        )
        self.pid = self._process.pid

    def running(self) -> bool:
        """Return whether it has not ended."""
        return self._process.poll() is None

    def order(self, text: str) -> None:
        """Write a line to it; one that has ended takes none, which `line` will show."""
        assert self._process.stdin is not None, "it is started with a pipe"
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(f"{text}\n".encode())
            self._process.stdin.flush()

    def line(self) -> str:
        """Return the next line that it prints; "" where it has ended."""
        assert self._process.stdout is not None, "its words go into a file"
        return self._process.stdout.readline().decode("utf-8", "replace")

    def ended(self) -> int:
        """Wait until it has ended by itself, and return its status."""
        return self._process.wait()

    def stop(self, limit_seconds: float) -> None:
        """Close its input and wait until it has ended; kill it where that takes longer than the limit."""
        assert self._process.stdin is not None, "it is started with a pipe"
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(limit_seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
