"""Signals that end a command early: SIGINT, SIGTERM and SIGHUP, all handled here. A signal becomes an exception in the
main thread, which unwinds the work under way: processes are killed, work folders are removed, and finished results
stay. Signals that arrive meanwhile are ignored, so that the unwinding can finish.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from assay.boxed.platform import signals_named

SIGNALS = signals_named("SIGINT", "SIGTERM", "SIGHUP")


class Stopped(SystemExit):
    """Raised when a signal asks for the end. It is not KeyboardInterrupt, which Typer would handle itself, nor an
    Exception, which error handlers would catch, but an exit, since gevent, on which Triton's client runs, prints a
    traceback for everything else.
    """

    def __init__(self, number: int) -> None:
        self.signal = signal.Signals(number)
        super().__init__(self.exit_code)

    @property
    def exit_code(self) -> int:
        """The exit code, as a shell would give it."""
        return 128 + self.signal

    def __str__(self) -> str:
        return f"interrupted ({self.signal.name}); finished work is kept, and the same command continues from here"


def listen() -> None:
    """Let the signals end the command from now on; one that was ignored at the start, as by nohup, still is."""
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _stop)


@contextmanager
def keeping_what_is_there() -> Iterator[None]:
    """Make the first Ctrl-C inside the block a KeyboardInterrupt, so that code can end early with what it has; if it
    does not, and from the second on, it ends the command as everywhere else.
    """

    def gently(number: int, frame: FrameType | None) -> NoReturn:
        signal.signal(number, _stop)
        raise KeyboardInterrupt

    listened = signal.getsignal(signal.SIGINT) is _stop
    if listened:
        signal.signal(signal.SIGINT, gently)
    try:
        yield
    except KeyboardInterrupt:
        no_more()
        raise Stopped(signal.SIGINT) from None
    finally:
        if signal.getsignal(signal.SIGINT) is gently:
            signal.signal(signal.SIGINT, _stop)


def no_more() -> None:
    """Ignore further signals: the end has begun and must not be interrupted."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    no_more()
    raise Stopped(number)
