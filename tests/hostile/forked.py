"""Commands of Assay run one after the other, each in a fork of a process that has already imported them.

A fork costs milliseconds where a fresh `assay` costs seconds, and everything that a command does to its process ends
with it. Recorded are the exit status, the output, the highest memory of the command and its children, and its time.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

LIMIT_SECONDS = 60
MOST_BYTES = 2 * 1024**3
TIMED_OUT = -signal.SIGALRM
FOREIGN = re.compile(r"Errno|pydantic|Input should be|Field required|Extra inputs|validation error|Value error,", re.I)
"""Assay's own beginnings of messages, to distinguish them from those of libraries."""
NEVER = {
    r"Traceback \(most recent call last\)": "a traceback",
    FOREIGN.pattern: "a sentence of pydantic's or a number of the system's",
    "\x1b": "a control character",
}
"""Marks of text that no command prints."""


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes:
        status: exit status, or minus the number of the signal that ended it.
        peak_bytes: the highest resident memory of the command or of any of its children.
    """

    status: int
    printed: str
    peak_bytes: int

    def problem(self) -> str:
        """The problems with how it ended; empty if there are none."""
        if self.status == TIMED_OUT:
            return f"took more than {LIMIT_SECONDS} s"
        if self.status not in (0, 1, 2):
            return f"ended with status {self.status}"
        for sign, what in NEVER.items():
            if re.search(sign, self.printed, re.IGNORECASE):
                return f"printed {what}"
        if self.peak_bytes > MOST_BYTES:
            return f"took {self.peak_bytes / 1024**3:.1f} GiB"
        return ""


def run(work: Callable[[], object], folder: Path, output: Path, variables: dict[str, str]) -> Ended:
    """Run `work` in a fork of this process, in `folder`, with its output in a file.

    An `AssayError` ends it as the command line does, with its message and exit code, and so does `SystemExit`.
    """
    with warnings.catch_warnings():  # JAX warns of forks where other tests loaded it; what is run here does not use it
        warnings.simplefilter("ignore", RuntimeWarning)
        pid = os.fork()
    if pid == 0:
        _as_child(work, folder, output, variables)
    _, status, usage = os.wait4(pid, 0)
    return Ended(
        os.waitstatus_to_exitcode(status),
        output.read_text(encoding="utf-8", errors="replace"),
        usage.ru_maxrss * 1024,
    )


def command(*arguments: str) -> Callable[[], object]:
    """A command line in the form that `run` takes."""

    def work() -> None:
        from assay.bench.cli.main import main  # noqa: PLC0415

        sys.argv = ["assay", *arguments]
        main()

    return work


def program(*arguments: str) -> Callable[[], object]:
    """The same in a separate interpreter: polars' threads do not exist in a fork of a process that has them, and the
    fork would wait for them forever.
    """
    return lambda: os.execv(sys.executable, [sys.executable, "-P", "-m", "assay", *arguments])


def _as_child(work: Callable[[], object], folder: Path, output: Path, variables: dict[str, str]) -> None:
    from assay.errors import AssayError  # noqa: PLC0415

    status = 70  # an exception that nobody foresaw
    try:
        os.setpgid(0, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(LIMIT_SECONDS)
        stream = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(stream, 1)
        os.dup2(stream, 2)
        sys.stdout, sys.stderr = (open(number, "w", closefd=False) for number in (1, 2))  # noqa: SIM115
        os.environ.update(variables)
        os.chdir(folder)
        try:
            work()
            status = 0
        except AssayError as error:
            print(f"assay: {error}", file=sys.stderr)  # noqa: T201
            status = error.exit_code
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 0
        except BaseException:  # noqa: BLE001  the parent reads it
            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(status)
