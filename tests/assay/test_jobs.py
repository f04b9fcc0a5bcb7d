"""Jobs in separate processes: their answers, and what happens when they crash, hang or are killed."""

from __future__ import annotations

import os
import signal
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from assay.boxed.box import LOG_BYTES
from assay.boxed.processes import below, marked
from assay.errors import FailedError, InputError, WorkerError
from assay.jobs.job import Hear, Job, Nothing, TellingJob
from assay.jobs.process import Process
from assay.jobs.running import run_job, started
from assay.records.base import Record
from assay.steps import Limit
from tests.assay.small_job import SMALL, At, Deed, Outcome

HOSTILE = "tests.assay.hostile_job"
LIMIT_SECONDS = 60


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let job processes find this test's module."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))


@pytest.mark.usefixtures("here")
class TestRunJob:
    def test_a_request_that_the_job_does_not_know(self, tmp_path: Path) -> None:
        """The request comes as to a job of another version of Assay in a separate environment.

        An error about a process is one on the conductor's side too, however many processes lie between.
        """
        other = TellingJob(SMALL.module, "another", Deed, Outcome, At)
        with pytest.raises(WorkerError, match="job is unknown: expected deed"):
            run_job(other, Deed(do="print"), tmp_path / "log", limit_seconds=60)
        newer = Job(SMALL.module, "deed", Margins, Outcome)
        with pytest.raises(FailedError, match="received a request that it cannot read"):
            run_job(newer, Margins(margins=[]), tmp_path / "log", limit_seconds=60)

    def test_events_then_the_result(self, tmp_path: Path) -> None:
        events: list[object] = []
        answer = run_job(
            SMALL, Deed(do="count", to=3), tmp_path / "log", limit_seconds=60, heard=SMALL.heard_by(events.append)
        )
        assert answer == Outcome(sum=6)
        assert events == [At(at=1), At(at=2), At(at=3)]

    def test_what_it_prints_goes_to_the_log_only(self, tmp_path: Path) -> None:
        assert run_job(SMALL, Deed(do="print"), tmp_path / "log", limit_seconds=60) == Outcome()
        assert "{this is not an answer}" in (tmp_path / "log").read_text()

    def test_no_library_in_a_job_may_send_what_it_sees_to_its_maker(self, tmp_path: Path) -> None:
        """ONNX Runtime's package for Linux does so from the moment it is imported, and keeps a database for it."""
        pytest.importorskip("onnxruntime")
        environment = {"HOME": str(tmp_path), "TMPDIR": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
        run_job(SMALL, Deed(do="onnxruntime"), tmp_path / "log", limit_seconds=60, environment=environment)
        assert [path.name for path in tmp_path.iterdir()] == ["log"]

    def test_no_framework_in_a_job_sees_a_gpu_unless_the_job_asks_for_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """JAX and TensorFlow take a GPU unasked, and compute fp32 in TF32 on it."""
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
        monkeypatch.delenv("JAX_PLATFORMS", raising=False)
        said = [
            run_job(one, Deed(do="devices"), tmp_path / "log", limit_seconds=60).version
            for one in (SMALL, replace(SMALL, sees_gpu=True))
        ]
        assert said == ["CUDA_VISIBLE_DEVICES= JAX_PLATFORMS=cpu", "CUDA_VISIBLE_DEVICES=0 JAX_PLATFORMS=not set"]

    def test_its_own_error_keeps_its_text_and_exit_code(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="a bad value: expected good, found bad") as caught:
            run_job(SMALL, Deed(do="refuse"), tmp_path / "log", limit_seconds=60)
        assert caught.value.exit_code == 2

    def test_a_traceback_becomes_a_worker_error_with_the_log(self, tmp_path: Path) -> None:
        with pytest.raises(WorkerError, match=r"ended with status 1.*ZeroDivisionError"):
            run_job(SMALL, Deed(do="raise"), tmp_path / "log", limit_seconds=60)

    def test_only_the_error_of_a_traceback_is_reported(self, tmp_path: Path) -> None:
        with pytest.raises(WorkerError) as caught:
            run_job(SMALL, Deed(do="raise"), tmp_path / "log", limit_seconds=60)
        assert str(caught.value).endswith("ended with status 1: found ZeroDivisionError: division by zero")

    @pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT])
    def test_a_fault_in_a_step_that_a_job_does_without_costs_that_step(self, number: int, tmp_path: Path) -> None:
        done = run_job(SMALL, Deed(do="fault", to=number), tmp_path / "log", limit_seconds=60)
        assert done.sum == 1, "the third was done"
        first, second = done.version.split(" / ")
        assert first.startswith(f"Try 1 was ended by {signal.Signals(number).name}: found compiled code ")
        assert second.startswith("Try 2 was ended by")
        assert "another route, runtime or version" in first

    @pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
    def test_a_job_ended_from_outside_is_not_restarted(self, number: int, tmp_path: Path) -> None:
        with pytest.raises(WorkerError, match="Try 1 was ended by") as caught:
            run_job(SMALL, Deed(do="fault", to=number), tmp_path / "log", limit_seconds=60)
        assert signal.Signals(number).name in str(caught.value)
        assert "small_job" not in str(caught.value), "a person is told what it was at, not which module"

    def test_a_crash_is_reported_with_its_step(self, tmp_path: Path) -> None:
        limit = Limit(60, "The export of mlp")
        with pytest.raises(
            WorkerError, match=r"^The export of mlp was ended by SIGSEGV: found compiled code accessed memory"
        ):
            run_job(SMALL, Deed(do="crash"), tmp_path / "log", limit_seconds=limit)

    def test_a_crash_names_the_signal(self, tmp_path: Path) -> None:
        with pytest.raises(WorkerError, match="was ended by SIGSEGV"):
            run_job(SMALL, Deed(do="crash"), tmp_path / "log", limit_seconds=60)

    def test_a_hang_is_ended_at_the_limit(self, tmp_path: Path) -> None:
        with pytest.raises(WorkerError, match=r"tests\.assay\.small_job used almost no processor time"):
            run_job(SMALL, Deed(do="hang"), tmp_path / "log", limit_seconds=1)


@pytest.mark.usefixtures("here")
def test_a_frozen_process_uses_no_processor(tmp_path: Path) -> None:
    with started(Process(SMALL.module, tmp_path / "log")) as process:
        process.send(SMALL.message(Deed(do="spin")))
        process.receive(30)
        process.freeze()
        before = sum(psutil.Process(process.pid).cpu_times()[:2])
        time.sleep(0.3)
        assert sum(psutil.Process(process.pid).cpu_times()[:2]) == before
        process.kill()


@pytest.mark.usefixtures("here")
def test_a_process_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    with started(Process(SMALL.module, tmp_path / "log")) as parent:
        parent.send(SMALL.message(Deed(do="parent", log=tmp_path / "child")))
        told = At.model_validate(parent.receive(30)["event"])
        child = psutil.Process(told.child)
        os.kill(parent.pid, signal.SIGKILL)
        assert psutil.wait_procs([child], timeout=10)[1] == []


@pytest.fixture
def mark(here: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A text in the environment of everything that a test starts, none of which may remain after the test."""
    del here
    text = uuid.uuid4().hex
    monkeypatch.setenv("ASSAY_TEST_MARK", text)
    before = below(os.getpid())
    yield text
    assert marked(text) == set()
    assert below(os.getpid()) <= before


class Done(Record):
    """Messages that a hostile job may send once."""

    done: int = 0


class Margins(Record):
    """Messages that it never sends."""

    margins: list[float]


HOSTILE_JOB = TellingJob(HOSTILE, "deed", Nothing, Done, At)


def asked(deed: str, log: Path, limit_seconds: float = LIMIT_SECONDS, heard: Hear | None = None) -> Done:
    environment = {"ASSAY_DEED": deed}
    return run_job(HOSTILE_JOB, Nothing(), log, limit_seconds=limit_seconds, environment=environment, heard=heard)


@pytest.mark.usefixtures("mark")
class TestAnswersThatAreNone:
    @pytest.mark.parametrize("deed", ["bytes", "nested", "nested result", "half", "gigabyte"])
    def test_a_line_that_is_not_json(self, deed: str, tmp_path: Path) -> None:
        with pytest.raises(WorkerError, match=r"not JSON|more than 16 MiB"):
            asked(deed, tmp_path / "log")

    @pytest.mark.parametrize("deed", ["scalar", "list", "null"])
    def test_a_line_that_is_not_a_message(self, deed: str, tmp_path: Path) -> None:
        with pytest.raises(WorkerError, match="no message"):
            asked(deed, tmp_path / "log")

    def test_a_result_that_is_not_an_object(self, tmp_path: Path) -> None:
        with pytest.raises(WorkerError, match="gave an answer that cannot be read"):
            asked("scalar result", tmp_path / "log")

    def test_an_invalid_event(self, tmp_path: Path) -> None:
        with pytest.raises(WorkerError, match="reported something that is not an event"):
            asked("flood", tmp_path / "log", heard=HOSTILE_JOB.heard_by(lambda told: None))

    @pytest.mark.parametrize("deed", ["no code", "code 77", "list of codes", "no text"])
    def test_an_error_of_no_known_code_is_a_failure(self, deed: str, tmp_path: Path) -> None:
        with pytest.raises(FailedError) as caught:
            asked(deed, tmp_path / "log")
        assert caught.value.exit_code == 1

    def test_no_answer_at_all(self, tmp_path: Path) -> None:
        with pytest.raises(WorkerError, match="ended with status 0"):
            asked("status", tmp_path / "log")

    def test_an_answer_without_a_requested_field(self, tmp_path: Path) -> None:
        assert asked("answering grandchild", tmp_path / "log").done == 1
        other, environment = Job(HOSTILE, "deed", Nothing, Margins), {"ASSAY_DEED": "answering grandchild"}
        with pytest.raises(WorkerError, match=r"gave an answer that cannot be read.*margins"):
            run_job(other, Nothing(), tmp_path / "log", limit_seconds=60, environment=environment)

    @pytest.mark.parametrize(
        "deed", ["line without end", pytest.param("flood", marks=pytest.mark.slow), "hidden grandchild"]
    )
    def test_what_never_ends_is_killed_at_the_limit(self, deed: str, tmp_path: Path) -> None:
        with pytest.raises(WorkerError, match=r"processor time.* and was abandoned"):
            asked(deed, tmp_path / "log", limit_seconds=3)

    def test_answers_that_are_closed_while_the_job_continues(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("assay.jobs.process.END_SECONDS", 0.5)
        with pytest.raises(WorkerError, match="closed its output"):
            asked("closed", tmp_path / "log")

    def test_pipes_that_a_grandchild_holds_open(self, tmp_path: Path) -> None:
        with pytest.raises(WorkerError, match="ended with status 0"):
            asked("grandchild", tmp_path / "log")

    def test_a_job_that_never_reads_its_input(self, tmp_path: Path) -> None:
        with (
            pytest.raises(WorkerError, match="did not read what was sent"),
            started(Process(HOSTILE, tmp_path / "log", environment={"ASSAY_DEED": "read nothing"})) as process,
        ):
            process.send({"much": "x" * (8 << 20)}, limit_seconds=1)


@pytest.mark.usefixtures("mark")
def test_a_log_keeps_its_beginning_and_its_end(tmp_path: Path) -> None:
    asked("print much", tmp_path / "log")
    content = (tmp_path / "log").read_bytes()
    assert len(content) <= LOG_BYTES + 200
    assert content.startswith(b"the beginning\n00000000\n")
    assert content.endswith(b"the end\n")
    left_out = int(content.partition(b"[assay: ")[2].partition(b" bytes are left out here]")[0])
    notice = len(b"\n[assay:  bytes are left out here]\n") + len(str(left_out))
    assert len(content) - notice + left_out == 60 * ((1 << 20) + 10) + len(b"the beginning\nthe end\n")


@pytest.mark.usefixtures("mark")
def test_what_a_killed_process_started_goes_with_it(tmp_path: Path) -> None:
    before = below(os.getpid())
    process = Process(HOSTILE, tmp_path / "log", environment={"ASSAY_DEED": "hidden grandchild"})
    process.send({})
    deadline = time.monotonic() + 30
    while len(below(os.getpid()) - before) < 3 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(below(os.getpid()) - before) == 3  # the one above it, itself, and the one that hides
    process.kill()


@pytest.mark.usefixtures("mark")
def test_the_temporary_folder_of_a_job_is_its_own_and_gone_afterwards(tmp_path: Path) -> None:
    process = Process(SMALL.module, tmp_path / "log")
    folder = Path(psutil.Process(process.pid).environ()["TMPDIR"])
    assert folder.stat().st_mode & 0o777 == 0o700
    process.kill()
    assert not folder.exists()
