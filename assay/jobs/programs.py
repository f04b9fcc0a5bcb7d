"""A program that is no job of ours, such as uv, run to its end with a limit like that of a job."""

from __future__ import annotations

import contextlib
import subprocess
from dataclasses import dataclass
from pathlib import Path

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
