"""Work side by side: in order, with its first failure, and ended at once by a signal."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from assay.errors import InputError
from assay.jobs.side_by_side import side_by_side


def test_results_come_in_order_and_so_many_are_under_way() -> None:
    both = threading.Barrier(2)

    def one(number: int) -> int:
        both.wait(timeout=30)  # neither ends before the other has begun
        return number

    assert side_by_side([lambda: one(1), lambda: one(2)], 2) == [1, 2]


@pytest.mark.parametrize("most", [0, 1])
def test_one_at_a_time_needs_no_threads(most: int) -> None:
    threads: list[threading.Thread] = []
    side_by_side([lambda: threads.append(threading.current_thread())] * 3, most)
    assert set(threads) == {threading.main_thread()}


def test_the_first_failure_is_raised_and_what_has_not_begun_is_left() -> None:
    begun: list[int] = []

    def fails() -> None:
        begun.append(0)
        raise InputError("no such thing")

    def goes_on(number: int) -> None:
        begun.append(number)
        time.sleep(0.2)

    work = [fails, *[lambda number=number: goes_on(number) for number in range(1, 40)]]  # type: ignore[misc]
    with pytest.raises(InputError, match="no such thing"):
        side_by_side(work, 2)
    assert 0 in begun
    assert len(begun) < 10


STOPPED = """
import signal, sys, threading
from pathlib import Path
from assay.bench.cli.stopping import Stopped, listen
from assay.jobs.process import Process
from assay.jobs.side_by_side import side_by_side

kept = []

def waits(name):
    process = Process("assay.infer.worker", Path(sys.argv[1]) / name)
    if process.pid:
        print("begun", flush=True)
    if name == sys.argv[2]:
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)
    try:
        process.receive(600)
    except Exception as error:
        kept.append(error)  # as an export keeps the reason of its failure

listen()
try:
    side_by_side([lambda: waits("a"), lambda: waits("b"), lambda: waits("c")], 2)
except Stopped as stopped:
    print(f"{stopped.signal.name}, kept {len(kept)}, threads {threading.active_count()}")
"""


def test_a_signal_ends_what_is_under_way_and_nothing_of_it_is_kept(tmp_path: Path) -> None:
    command = [sys.executable, "-c", STOPPED, str(tmp_path), ""]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert [process.stdout.readline() for _ in range(2)] == ["begun\n", "begun\n"]
        process.send_signal(2)
        assert process.stdout.read() == "SIGINT, kept 0, threads 1\n"


def test_a_signal_that_another_thread_is_given_ends_it_too(tmp_path: Path) -> None:
    """The system may give it to any thread, and the main one is not woken by it."""
    command = [sys.executable, "-c", STOPPED, str(tmp_path), "a"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.stdout.endswith("SIGINT, kept 0, threads 1\n"), done.stdout + done.stderr
