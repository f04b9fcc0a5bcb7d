"""What ends a command before its end: SIGINT, SIGTERM and SIGHUP, each once, in one place.

A signal becomes an exception in the main thread. What is under way is left by it: processes are killed, work folders
removed, and what is finished stays. Signals that come meanwhile find nobody, so that this ends too.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(SystemExit):
    """A signal asks for the end. Typer would answer KeyboardInterrupt by itself, what handles errors must not handle
    this, and gevent, on which Triton's client runs, prints a traceback of everything but an exit.
    """

    def __init__(self, number: int) -> None:
        self.signal = signal.Signals(number)
        super().__init__(self.exit_code)

    @property
    def exit_code(self) -> int:
        """As a shell gives it."""
        return 128 + self.signal

    def __str__(self) -> str:
        return f"interrupted ({self.signal.name}); what was finished is kept, and the same command goes on from here"


def listen() -> None:
    """From now on the signals end the command; one that was ignored when it began, as by nohup, still is."""
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _stop)


@contextmanager
def keeping_what_is_there() -> Iterator[None]:
    """Inside, the first Ctrl-C is a KeyboardInterrupt for whoever can end early with what there is; where nobody can,
    and from the second on, it ends the command as everywhere.
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
    """The end has begun, and goes on to its end."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    no_more()
    raise Stopped(number)
