"""Parallel work: results in order, the first failure reported, and everything ended at once by a signal."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import pytest

from assay.errors import InputError
from assay.jobs.host import Starter
from assay.jobs.process import HERE
from assay.jobs.running import run_job
from assay.jobs.sharing import Sharing, shared
from assay.jobs.side_by_side import beside, side_by_side
from tests.assay.small_job import SMALL, Deed


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


def test_the_first_failure_is_raised_and_work_that_has_not_started_is_skipped() -> None:
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


def test_jobs_side_by_side_share_the_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads that spin while they wait for others without a core take everybody's time."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)

    def told(host: Starter) -> str:
        return run_job(SMALL, Deed(do="threads"), tmp_path / "log", limit_seconds=60, host=host).version

    assert [told(shared(HERE, 6, together)) for together in (1, 2)] == ["as many as cores", "3"]
    assert shared(HERE, 2, 3) == Sharing(HERE, 1)
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    assert told(shared(HERE, 6, 2)) == "5", "what a person asked for stays"


def test_something_beside_a_block_has_its_result_at_the_end_of_the_block() -> None:
    begun, go_on = threading.Event(), threading.Event()

    def work() -> str:
        begun.set()
        go_on.wait(timeout=30)
        return "done"

    with beside(work) as later:
        assert begun.wait(timeout=30)
        assert not later.done()
        go_on.set()
    assert later.result() == "done"


def test_work_beside_a_block_raises_at_the_end_of_the_block() -> None:
    def fails() -> None:
        raise InputError("no such thing")

    gone_on = False
    with pytest.raises(InputError, match="no such thing"), beside(fails):
        gone_on = True
    assert gone_on


def test_work_beside_a_failing_block_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    hanging = partial(run_job, SMALL, Deed(do="hang"), tmp_path / "log", limit_seconds=3600)

    def fails_beside() -> None:
        with beside(hanging):
            while not (tmp_path / "log").exists():
                time.sleep(0.01)
            raise InputError("the block")

    with pytest.raises(InputError, match="the block"):
        fails_beside()


STOPPED = """
import os, signal, sys, threading
from pathlib import Path
from assay.bench.cli.stopping import Stopped, listen
from assay.jobs.process import Process
from assay.jobs.side_by_side import side_by_side

kept = []

def waits(name):
    process = Process("assay.infer.worker", Path(sys.argv[1]) / name)
    if process.pid:
        os.write(1, b"begun\\n")  # at once: what two threads print may be mixed
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


def test_a_signal_ends_running_work_and_nothing_of_it_is_kept(tmp_path: Path) -> None:
    command = [sys.executable, "-c", STOPPED, str(tmp_path), ""]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert [process.stdout.readline() for _ in range(2)] == ["begun\n", "begun\n"]
            process.send_signal(2)
            assert process.stdout.read() == "SIGINT, kept 0, threads 1\n"
        finally:
            process.kill()


def test_a_signal_that_another_thread_is_given_ends_it_too(tmp_path: Path) -> None:
    """The system may deliver it to any thread, and the main thread is not woken by it."""
    command = [sys.executable, "-c", STOPPED, str(tmp_path), "a"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.stdout.endswith("SIGINT, kept 0, threads 1\n"), done.stdout + done.stderr
