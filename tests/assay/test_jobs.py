"""Processes of their own: what they answer, and what happens when they crash, hang or are killed."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import psutil
import pytest

from assay.errors import InputError, WorkerError
from assay.jobs import Process, run_job, started

JOB = "tests.assay.small_job"


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let job processes find this test's module."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))


@pytest.mark.usefixtures("here")
class TestRunJob:
    def test_events_then_the_result(self, tmp_path: Path) -> None:
        events: list[object] = []
        answer = run_job(JOB, {"do": "count", "to": 3}, tmp_path / "log", limit_seconds=60, on_event=events.append)
        assert answer == {"sum": 6}
        assert events == [{"at": 1}, {"at": 2}, {"at": 3}]

    def test_what_it_prints_goes_to_the_log_only(self, tmp_path: Path) -> None:
        assert run_job(JOB, {"do": "print"}, tmp_path / "log", limit_seconds=60) == {}
        assert "{this is no answer}" in (tmp_path / "log").read_text()

    def test_no_library_in_a_job_may_send_what_it_sees_to_its_maker(self, tmp_path: Path) -> None:
        """ONNX Runtime's package for Linux does, from the moment it is imported, and keeps a database for it."""
        pytest.importorskip("onnxruntime")
        environment = {"HOME": str(tmp_path), "TMPDIR": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
        run_job(JOB, {"do": "onnxruntime"}, tmp_path / "log", environment=environment)
        assert [path.name for path in tmp_path.iterdir()] == ["log"]

    def test_its_own_error_keeps_its_text_and_exit_code(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="a bad value: expected good, found bad") as caught:
            run_job(JOB, {"do": "refuse"}, tmp_path / "log", limit_seconds=60)
        assert caught.value.exit_code == 2

    def test_a_traceback_becomes_a_worker_error_with_the_log(self, tmp_path: Path) -> None:
        with pytest.raises(WorkerError, match=r"ended with status 1.*ZeroDivisionError"):
            run_job(JOB, {"do": "raise"}, tmp_path / "log", limit_seconds=60)

    def test_a_crash_names_the_signal(self, tmp_path: Path) -> None:
        with pytest.raises(WorkerError, match="was killed by SIGSEGV"):
            run_job(JOB, {"do": "crash"}, tmp_path / "log", limit_seconds=60)

    def test_a_hang_is_ended_at_the_limit(self, tmp_path: Path) -> None:
        with pytest.raises(WorkerError, match="did not answer within"):
            run_job(JOB, {"do": "hang"}, tmp_path / "log", limit_seconds=1)


@pytest.mark.usefixtures("here")
def test_a_frozen_process_uses_no_processor(tmp_path: Path) -> None:
    with started(Process(JOB, tmp_path / "log")) as process:
        process.send({"do": "spin"})
        process.receive(30)
        process.freeze()
        before = sum(psutil.Process(process.pid).cpu_times()[:2])
        time.sleep(0.3)
        assert sum(psutil.Process(process.pid).cpu_times()[:2]) == before
        process.kill()


@pytest.mark.usefixtures("here")
def test_a_process_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    with started(Process(JOB, tmp_path / "log")) as parent:
        parent.send({"do": "parent", "log": str(tmp_path / "child")})
        child = psutil.Process(int(str(parent.receive(30)["child"])))
        os.kill(parent.pid, signal.SIGKILL)
        assert psutil.wait_procs([child], timeout=10)[1] == []
