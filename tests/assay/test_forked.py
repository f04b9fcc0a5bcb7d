"""Work in forks: its news is heard, and its end is its own, by whatever it ends."""

from __future__ import annotations

import faulthandler
import os
import signal
import time
from collections.abc import Callable

import pytest

from assay.errors import AssayError, InputError, WorkerError
from assay.jobs.forked import Bounds, SilentError, in_a_fork
from assay.jobs.job import Message, Send
from assay.jobs.killed import KilledError
from assay.steps import LostStepError, step

pytestmark = pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning")
"""JAX, which another test of this process may have imported, warns of every fork; Assay forks only where it is not."""

BOUNDS = Bounds(processor_seconds=60, memory_bytes=1 << 30, silent_seconds=60)


def fault() -> None:
    """End this process by a fault, without the traceback that pytest would print of it."""
    faulthandler.disable()
    os.kill(os.getpid(), signal.SIGSEGV)


def heard_from(work: Callable[[Send], None], bounds: Bounds = BOUNDS) -> list[Message]:
    heard: list[Message] = []
    in_a_fork(work, heard.append, bounds)
    return heard


def test_news_of_a_fork_is_heard_and_what_it_changes_is_its_own() -> None:
    values = [1]

    def work(send: Send) -> None:
        values.append(2)
        send({"at": values[-1], "process": os.getpid()})
        send({"long": "x" * 200_000})

    first, second = heard_from(work)
    assert first["at"] == 2
    assert first["process"] != os.getpid()
    assert len(str(second["long"])) == 200_000
    assert values == [1]


def test_an_error_of_ours_comes_back_as_it_is() -> None:
    def work(send: Send) -> None:
        raise InputError("a bad value", expected="good", found="bad")

    with pytest.raises(AssayError, match="a bad value") as caught:
        heard_from(work)
    assert caught.value.exit_code == 2


def test_an_unforeseen_error_is_told_with_its_class() -> None:
    with pytest.raises(WorkerError, match="ZeroDivisionError"):
        heard_from(lambda send: send({"at": 1 // 0}))


def test_a_crash_says_what_was_going_on_and_keeps_what_was_told_before() -> None:
    heard: list[Message] = []

    def work(send: Send) -> None:
        send({"at": 1})
        with step("The second thing", 60):
            fault()

    with pytest.raises(KilledError, match="The second thing was ended by SIGSEGV") as caught:
        in_a_fork(work, heard.append, BOUNDS)
    assert caught.value.is_fault
    assert heard == [{"at": 1}]


def test_a_step_that_ends_it_and_can_be_done_without_is_left_out() -> None:
    def work(send: Send) -> None:
        try:
            with step("A witness", 60, apart=True):
                fault()
        except LostStepError as error:
            send({"lost": str(error)})

    (told,) = heard_from(work)
    assert "A witness was ended by SIGSEGV" in str(told["lost"])


@pytest.mark.slow  # the system counts in whole seconds
def test_each_piece_of_work_has_its_own_time_of_a_processor() -> None:
    bounds = Bounds(processor_seconds=1, memory_bytes=1 << 30, silent_seconds=60)

    def spin(seconds: float) -> None:
        bounds.begin()
        begun = time.process_time()
        while time.process_time() - begun < seconds:
            pass

    def twice(send: Send) -> None:
        for at in range(2):
            spin(0.6)
            send({"at": at})

    assert heard_from(twice, bounds) == [{"at": 0}, {"at": 1}]
    with pytest.raises(KilledError, match="SIGXCPU") as caught:
        heard_from(lambda send: spin(30), bounds)
    assert not caught.value.is_fault


def test_memory_is_limited() -> None:
    with pytest.raises(WorkerError, match="MemoryError"):
        heard_from(lambda send: send({"size": len(bytearray(2 << 30))}))


def test_one_that_tells_nothing_is_ended() -> None:
    with pytest.raises(SilentError, match="told nothing"):
        heard_from(lambda send: time.sleep(600), Bounds(60, 1 << 30, silent_seconds=0))
