"""A process is given up at its limit of processor time, when it hangs, or at a wide limit on the clock."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from assay.boxed import processes
from assay.errors import WorkerError
from assay.jobs import patience
from assay.jobs.patience import SLOWER_CLOCK, Patience, Spent, spent_by
from assay.jobs.programs import run_program
from assay.jobs.running import LateError, run_job
from tests.assay.small_job import SMALL, Deed

LIMIT = 60.0


class Clock:
    """A clock that a test moves on, and what a process has spent by then.

    Args:
        rate: processor seconds in a second.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, rate: float, *, waits: bool = False) -> None:
        self.now, self.rate, self.waits, self.frozen, self.looks, self._seconds = 1000.0, rate, waits, False, 0, 0.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)

    def spent(self) -> Spent:
        self.looks += 1
        return Spent(self._seconds, self.waits, self.frozen)

    def passes(self, seconds: float) -> None:
        self.now += seconds
        self._seconds += 0 if self.frozen else self.rate * seconds

    def given_up(self, waiting: Patience, most: float = 100 * LIMIT) -> tuple[float, str]:
        """How long a process was waited for, and why no longer."""
        begun = self.now
        while self.now - begun < most:
            self.passes(max(waiting.due, 1e-3))
            if why := waiting.over():
                return self.now - begun, why
        return most, ""


@pytest.mark.parametrize("rate", [0.99, 1.0, 2.0, 64.0])
def test_one_that_has_the_processor_is_given_up_at_its_limit(rate: float, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch, rate)
    seconds, why = clock.given_up(Patience(LIMIT, clock.spent))
    assert seconds == pytest.approx(LIMIT, abs=1.0)
    assert why == "did not end within 60 s of processor time and was abandoned"


def test_one_that_shares_the_processor_has_as_much_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """TensorFlow's import took 32 s where five others ran, and 5 alone."""
    clock = Clock(monkeypatch, 0.25)
    seconds, why = clock.given_up(Patience(LIMIT, clock.spent))
    assert 3 * LIMIT < seconds < 4 * LIMIT, "nothing is known of the first 10 s, which count in full"
    assert "of processor time" in why


def test_one_that_is_starved_is_given_up_by_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch, 0.05)
    seconds, why = clock.given_up(Patience(LIMIT, clock.spent))
    assert seconds == pytest.approx(SLOWER_CLOCK * LIMIT, abs=2 * patience.LOOK_SECONDS)
    assert why.startswith("did not end within 300 s, in which it used ")


def test_one_that_sleeps_hangs_at_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch, 0.001)
    seconds, why = clock.given_up(Patience(LIMIT, clock.spent))
    assert seconds == pytest.approx(LIMIT, abs=1.0)
    assert why == "used almost no processor time for 50 s and was abandoned"


def test_one_that_hangs_after_some_work_is_given_up_soon_after_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch, 0.5)
    waiting = Patience(LIMIT, clock.spent)
    assert clock.given_up(waiting, LIMIT / 2)[1] == ""
    clock.rate = 0.0
    seconds, why = clock.given_up(waiting)
    assert LIMIT / 2 < seconds < LIMIT
    assert "almost no processor time" in why


def test_one_that_waits_for_something_outside_does_not_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch, 0.0, waits=True)
    seconds, why = clock.given_up(Patience(LIMIT, clock.spent))
    assert seconds == pytest.approx(SLOWER_CLOCK * LIMIT, abs=2 * patience.LOOK_SECONDS)
    assert "s of processor time" in why


def test_no_time_passes_for_one_that_its_host_has_frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch, 1.0)
    waiting = Patience(LIMIT, clock.spent)
    clock.given_up(waiting, LIMIT / 2)
    clock.frozen = True
    assert clock.given_up(waiting, 20 * LIMIT) == (pytest.approx(20 * LIMIT, abs=20), "")
    clock.frozen = False
    seconds, why = clock.given_up(waiting)
    assert seconds == pytest.approx(LIMIT / 2, abs=2 * patience.LOOK_SECONDS)
    assert "of processor time" in why


def test_the_time_for_which_we_were_stopped_ourselves_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch, 0.0)
    waiting = Patience(LIMIT, clock.spent)
    clock.given_up(waiting, LIMIT / 2)
    clock.passes(100 * LIMIT)
    assert waiting.over() == ""


def test_a_hard_limit_holds_whatever_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch, 0.25)
    assert clock.given_up(Patience(LIMIT, clock.spent, 12.0)) == (
        pytest.approx(12.0, abs=0.1),
        "did not end within the 12 s that were left and was abandoned",
    )


def test_nothing_is_read_of_a_process_while_what_it_does_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch, 1.0)
    waiting = Patience(LIMIT, clock.spent)
    for _ in range(9):
        clock.passes(1.0)
        assert waiting.over() == ""
    assert clock.looks == 0


@contextmanager
def program(*words: str) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", *words], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            yield process
        finally:
            processes.end_tree(process.pid)  # what it started would spin on for ever


BUSY_CHILD = """
import subprocess, sys, time
ended = "sum(range(10_000_000))"
subprocess.run([sys.executable, "-c", ended], check=True)
child = subprocess.Popen([sys.executable, "-c", "print('x', flush=True)\\nwhile True: pass"], stdout=subprocess.PIPE)
child.stdout.readline()
print("ready", flush=True)
time.sleep(600)
"""


def test_what_a_process_started_counts_too_whether_or_not_it_has_ended() -> None:
    with program(BUSY_CHILD) as process:
        first = spent_by(process.pid)
        own = sum(psutil.Process(process.pid).cpu_times()[:2])
        assert first.seconds > own, "its child that has ended counts"
        while (again := spent_by(process.pid)).seconds < first.seconds + 0.1:
            time.sleep(0.02)
        assert sum(psutil.Process(process.pid).cpu_times()[:2]) - own < 0.05, "it sleeps itself"
        assert not again.waits


def test_nothing_is_spent_by_one_that_has_ended() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    assert spent_by(process.pid) == Spent(0.0)


LOCKING = """
import fcntl, sys
stream = open(sys.argv[1], "w")
print("ready", flush=True)
fcntl.flock(stream, fcntl.LOCK_EX)
"""


@pytest.mark.skipif(not processes.LOCKS.exists(), reason="this system does not list its locks")
def test_one_that_waits_for_a_lock_waits(tmp_path: Path) -> None:
    import fcntl  # noqa: PLC0415  not on every system

    with (tmp_path / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with program(LOCKING, str(tmp_path / "lock")) as process:
            while not spent_by(process.pid).waits:
                time.sleep(0.02)


def test_one_that_somebody_stopped_waits() -> None:
    with program("import time; print('ready', flush=True); time.sleep(600)") as process:
        assert not spent_by(process.pid).waits
        psutil.Process(process.pid).suspend()
        while not spent_by(process.pid).waits:
            time.sleep(0.02)


@pytest.mark.parametrize(
    ("deed", "why"),
    [("spin", r"did not end within 0\.5 s of processor time"), ("hang", "used almost no processor time for 0.[34]")],
)
def test_a_job_is_given_up_for_the_reason_that_it_has(
    deed: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    monkeypatch.setattr(patience, "IDLE_SHARE", 0.2)  # half a second has few ticks of the system's clock
    with pytest.raises(WorkerError, match=why):
        run_job(SMALL, Deed(do=deed), tmp_path / "log", limit_seconds=0.5)


def test_a_program_is_given_up_too_and_what_it_printed_is_kept_where_it_ends() -> None:
    words = "import sys; print('out'); print('no', file=sys.stderr); sys.exit(3)"
    done = run_program([sys.executable, "-c", words], 60)
    assert (done.status, done.out, done.errors) == (3, "out\n", "no\n")
    with pytest.raises(LateError, match="almost no processor time"):
        run_program([sys.executable, "-c", "import time; time.sleep(600)"], 1.0)
    assert os.getpid() not in {one.ppid() for one in psutil.process_iter() if one.status() == psutil.STATUS_ZOMBIE}
