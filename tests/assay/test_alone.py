"""Two commands that time on one machine: the second waits and names the first, and a killed first holds nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from assay import alone
from assay.alone import FOLDER_VARIABLE, TIMING_LOCK, runtime_folder, timing_alone

HOLD = """
import sys
from assay.alone import timing_alone
with timing_alone(lambda who: print("waiting for", who, flush=True)):
    print("alone", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "runtime"))
    return tmp_path / "runtime"


@contextmanager
def timing_elsewhere() -> Iterator[subprocess.Popen[str]]:
    """A process that times, or waits for its turn."""
    command = [sys.executable, "-P", "-c", HOLD, "compare-model", "net.py:build"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def said_by(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline().strip()


def test_the_second_waits_and_says_for_whom() -> None:
    with timing_elsewhere() as first:
        assert said_by(first) == "alone"
        with timing_elsewhere() as second:
            waiting = said_by(second)
            assert waiting.startswith(f"waiting for process {first.pid}, `assay compare-model net.py:build`, since 2")
            first.communicate()
            assert said_by(second) == "alone"


def test_a_killed_command_delays_no_other() -> None:
    with timing_elsewhere() as first:
        assert said_by(first) == "alone"
        with timing_elsewhere() as second:
            assert said_by(second).startswith("waiting for")
            os.kill(first.pid, signal.SIGKILL)
            assert said_by(second) == "alone"


def test_a_command_alone_does_not_wait_and_leaves_nothing(place: Path) -> None:
    told: list[str] = []
    for _ in range(2):
        with timing_alone(told.append):
            assert (place / TIMING_LOCK).exists()
    assert told == []
    assert list(place.iterdir()) == []


def test_three_at_once_have_their_turns(place: Path) -> None:
    inside, most = 0, 0

    def work() -> None:
        nonlocal inside, most
        with timing_alone(lambda who: None):
            inside += 1
            most = max(most, inside)
            inside -= 1

    threads = [threading.Thread(target=work) for _ in range(3)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert (inside, most) == (0, 1)


def test_the_folder_is_of_the_machine_and_needs_no_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(FOLDER_VARIABLE)
    monkeypatch.setenv("HOME", "/nonexistent")
    monkeypatch.setattr(alone, "PLACES", (str(tmp_path / "not there"), str(tmp_path)))
    found = runtime_folder()
    assert found == tmp_path / f"assay-{os.getuid()}"
    assert found.stat().st_mode & 0o777 == 0o700


def test_a_folder_that_others_may_write_or_a_link_is_not_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(FOLDER_VARIABLE)
    for name in ("open", "linked"):
        (tmp_path / name).mkdir()
    opened = tmp_path / "open" / f"assay-{os.getuid()}"
    opened.mkdir()
    opened.chmod(0o777)
    (tmp_path / "linked" / f"assay-{os.getuid()}").symlink_to(tmp_path)
    monkeypatch.setattr(alone, "PLACES", (str(tmp_path / "open"), str(tmp_path / "linked")))
    assert runtime_folder() is None
    with timing_alone(pytest.fail):
        pass  # a machine without a place for a lock times all the same


def test_an_obstacle_to_the_lock_does_not_prevent_timing(place: Path) -> None:
    (place / TIMING_LOCK).mkdir(parents=True)
    place.chmod(0o700)
    told: list[str] = []
    with timing_alone(told.append):
        told.append("timed")
    assert told == ["timed"]
