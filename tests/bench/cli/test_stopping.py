"""The first Ctrl-C may be taken as enough; what nobody takes so, and the second, end the command."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from assay.bench.cli.stopping import SIGNALS, Stopped, keeping_what_is_there, listen


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in SIGNALS}
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell has those in the background ignore it
    listen()
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def press() -> None:
    signal.raise_signal(signal.SIGINT)  # to this thread: one of another's would be heard at any time later


def test_the_first_is_for_whoever_keeps_what_is_there() -> None:
    with keeping_what_is_there():
        with pytest.raises(KeyboardInterrupt):
            press()
        with pytest.raises(Stopped):
            press()


def test_one_that_nobody_takes_ends_the_command() -> None:
    with pytest.raises(Stopped) as stopped, keeping_what_is_there():
        press()
    assert stopped.value.exit_code == 130


def test_outside_everything_is_as_before() -> None:
    with keeping_what_is_there():
        pass
    with pytest.raises(Stopped):
        press()
