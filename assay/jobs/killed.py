"""An error for a process that a signal ended: what it was doing, what the signal means, and what can be done."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

from assay.boxed.platform import by_signal
from assay.errors import WorkerError

FAULTS = by_signal(
    {
        "SIGSEGV": "compiled code accessed memory that does not belong to it",
        "SIGBUS": "compiled code accessed memory that does not exist, such as that of a file that was truncated",
        "SIGILL": "compiled code has an instruction that this processor lacks",
        "SIGFPE": "compiled code divided an integer by zero",
        "SIGABRT": "compiled code aborted",
    }
)
"""Signals that a fault of a library ends a process with, and their meaning."""
FROM_OUTSIDE = by_signal(
    {
        "SIGKILL": "the system ends a process this way when memory runs out",
        "SIGTERM": "it was asked to end",
    }
)
OVER_A_LIMIT = by_signal(
    {
        "SIGXCPU": "it used more processor time than allowed",
        "SIGXFSZ": "it wrote a larger file than allowed",
    }
)
OF_A_FAULT = (
    "The fault is in compiled code of a library or of the model: another route, runtime or version "
    "of it may not have it"
)
OF_MEMORY = "Give it more memory, or a smaller model, batch or number of records"


class KilledError(WorkerError):
    """A process was ended by a signal.

    Attributes:
        number: number of the signal.
        said: last words of the process's log.
        doing: the work that the process was doing.
        apart: whether the job can do without that work; see `assay.steps.step`.
    """

    number = 0
    said = doing = ""
    apart = False

    @property
    def is_fault(self) -> bool:
        """Whether the code that ran there ended the process, and not somebody from outside."""
        return self.number in FAULTS

    @property
    def is_from_outside(self) -> bool:
        """Whether somebody else ended it, a person or the system: this says nothing about the code that ran there."""
        return self.number in FROM_OUTSIDE


_NOTED: list[list[str]] = []


@contextmanager
def noting_ended() -> Iterator[list[str]]:
    """Collect the errors of this process's own processes that somebody else ends inside the block, whatever becomes of
    them: a cell that failed, an export without a file.
    """
    found: list[str] = []
    _NOTED.append(found)
    try:
        yield found
    finally:
        _NOTED[:] = [other for other in _NOTED if other is not found]


def noted(error: KilledError) -> KilledError:
    """Return an error, which `noting_ended` collects."""
    if error.is_from_outside:
        for found in _NOTED:
            found.append(str(error))
    return error


def killed(doing: str, number: int, said: str = "", *, apart: bool = False, remedy: str | None = None) -> KilledError:
    """Return the error of a process that was ended by a signal; `doing` is the subject of its sentence."""
    name = signal.Signals(number).name
    meant = {**FAULTS, **FROM_OUTSIDE, **OVER_A_LIMIT}.get(signal.Signals(number), "")
    usual = OF_A_FAULT if number in FAULTS else OF_MEMORY if number == signal.SIGKILL else None
    found = "; it said last: ".join(one for one in (meant, said) if one) or None
    error = KilledError(f"{doing} was ended by {name}", found=found, remedy=remedy or usual)
    error.number, error.said, error.doing, error.apart = number, said, doing, apart
    return error
