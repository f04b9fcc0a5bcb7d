"""A step of a job is given up after its own limit, which is proportional to the time it should take."""

from __future__ import annotations

import io
import re
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from assay import steps
from assay.bench.brought.work import Wanted, Work
from assay.bench.words import progress
from assay.bench.words.progress import SILENT_AGAIN_SECONDS, SILENT_SECONDS
from assay.bench.words.terminal import Terminal
from assay.errors import WorkerError
from assay.export.probing.loading import _import_framework
from assay.jobs.job import Nothing
from assay.jobs.pace import KINDS, SHARES, Pace, allowed, limit_of, pace_in
from assay.jobs.running import run_job
from assay.steps import (
    CALL_SECONDS,
    LOAD_SECONDS,
    MOST_SECONDS,
    Limit,
    Step,
    call_seconds,
    heard_by,
    in_proportion,
    limits_told,
    load_seconds,
    step,
    step_told,
    waiting_for,
)
from assay.train.brought import watched as watched_calls
from assay.train.brought.loaders.loaded import LoadedModel
from assay.train.brought.model import Location
from assay.train.brought.watched import Watched, slowest_call, watched
from tests.assay.small_job import SMALL, At, Deed


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
    messages: list[dict[str, Any]] = []
    monkeypatch.setattr(steps, "_send", messages.append)
    yield messages
    assert steps._under_way == []


def test_a_step_that_does_not_end_is_given_up_by_its_name_and_everybody_hears(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))  # where the job's module is
    heard: list[str] = []
    events: list[object] = []
    with heard_by(lambda one: heard.append(one.doing)), pytest.raises(WorkerError) as caught:
        run_job(
            SMALL,
            Deed(do="linger", seconds=0.5),
            tmp_path / "log",
            limit_seconds=100,
            heard=SMALL.heard_by(events.append),
        )
    assert str(caught.value).startswith("The second thing used almost no processor time for 0.")
    assert "--call-limit" in str(caught.value)
    assert heard == ["The first thing", "", "The second thing", ""]
    assert events == [At(at=1)], "a step is not an event of the job's"


def test_a_job_without_steps_is_shown_by_its_name_and_no_missing_option_is_promised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    heard: list[str] = []
    limit = Limit(100, "The export of mlp")
    with heard_by(lambda one: heard.append(one.doing)), pytest.raises(WorkerError) as caught:
        run_job(SMALL, Deed(do="linger", seconds=0.5), tmp_path / "log", limit_seconds=limit)
    why = r"The second thing used almost no processor time for 0\.\d+ s and was abandoned"
    assert re.fullmatch(why, str(caught.value))
    assert heard == ["The export of mlp", "The first thing", "The export of mlp", "The second thing", ""]


def test_a_listener_hears_of_waits_that_are_not_jobs() -> None:
    heard: list[Step] = []
    with heard_by(heard.append), waiting_for("The start of a server", 60) as waited:
        assert waited.deadline > time.monotonic() + 50
    assert [(one.doing, one.seconds) for one in heard] == [("The start of a server", 60), ("", 60)]


def test_a_step_inside_another_returns_the_remaining_time(told: list[dict[str, Any]]) -> None:
    with step("outer", 50), step("inner", 5):
        pass
    assert [one["step"] for one in told] == ["outer", "inner", "outer", ""]
    assert told[2]["seconds"] == pytest.approx(50, abs=5)


def test_a_step_ends_with_an_error_too(told: list[dict[str, Any]]) -> None:
    with pytest.raises(ValueError, match="no"), step("outer", 50):
        raise ValueError("no")
    assert told[-1]["step"] == ""


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"step": 3, "seconds": 1},
        {"step": "x"},
        {"step": "x", "seconds": "1"},
        {"step": "x", "seconds": -1},
        {"step": "x", "seconds": float("nan")},
        {"event": "step", "step": 5, "seconds": 1},
    ],
)
def test_a_line_that_is_not_a_step_gives_none(message: dict[str, Any]) -> None:
    assert step_told(message, 100) is None


def test_no_step_is_longer_than_the_rest_of_the_job() -> None:
    found = step_told({"step": "x" * 1000, "seconds": 1e9}, 100)
    assert found is not None
    assert (found.seconds, len(found.doing)) == (100, 200)
    assert found.deadline <= time.monotonic() + 100


def test_limits_are_in_proportion(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(steps.CALL_VARIABLE, raising=False)
    assert call_seconds() == CALL_SECONDS == in_proportion(0, 1000)
    assert call_seconds(2 << 30) > 2 * CALL_SECONDS, "a file of 2 GB takes long to come from a disk"
    assert in_proportion(0.1, 100) == CALL_SECONDS + 10
    assert in_proportion(10, 3000) == MOST_SECONDS
    (name,), (value,) = limits_told(5).keys(), limits_told(5).values()
    monkeypatch.setenv(name, value)
    assert call_seconds(2 << 30) == 5
    assert limits_told(None) == {}


@pytest.mark.parametrize(
    ("imported", "seconds"), [(None, LOAD_SECONDS), (0.5, CALL_SECONDS), (4.0, 80.0), (60.0, LOAD_SECONDS)]
)
def test_a_load_is_measured_by_the_import_before_it(
    imported: float | None, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(steps.CALL_VARIABLE, raising=False)
    assert load_seconds(imported=imported) == seconds
    assert load_seconds(1 << 30, imported) > seconds + 200, "a large file takes long to come from a disk"
    monkeypatch.setenv(steps.CALL_VARIABLE, "1000")
    assert load_seconds(imported=imported) == 1000


def test_the_import_of_a_framework_is_timed_where_a_file_names_one(tmp_path: Path) -> None:
    file = tmp_path / "model.py"
    location = Location(path=file, form="function", function="build")
    assert _import_framework(location) is None
    file.write_text("def build():\n    import json\n    return json\n")
    assert _import_framework(location) is None
    file.write_text("import torch\ndef build():\n    import jax\n")
    assert _import_framework(location) is None, "it is not said which it will need"
    file.write_text("def build():\n    import torch\n")
    assert _import_framework(location) is not None


def test_a_call_is_measured_by_the_calls_before_it(told: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter(float(one) for one in range(1000))
    monkeypatch.setattr(time, "monotonic", lambda: next(now))
    monkeypatch.delenv(steps.CALL_VARIABLE, raising=False)
    monkeypatch.setattr(watched_calls, "_natives", [])
    assert slowest_call() == 0
    model = LoadedModel((), lambda names, without: (lambda inputs: {}, lambda: lambda inputs: {}))
    loaded = watched(model, "mlp", 0).bound(["x"])
    few, many = [np.zeros((2, 3))], [np.zeros((32, 3))]
    for inputs in (few, many):
        loaded.native(inputs)
    loaded.double()(few)
    begun = [one for one in told if one["step"]]
    assert [one["step"] for one in begun] == [
        "The first call of mlp", "Call 2 of mlp", "Converting mlp to float64", "The first call of mlp in float64",
    ]  # fmt: skip
    assert begun[0]["seconds"] == CALL_SECONDS
    assert begun[1]["seconds"] > 10 * CALL_SECONDS, "32 rows of a model that takes more than a second for each"
    assert begun[3]["seconds"] == MOST_SECONDS, "an evaluator in Python takes thousands of times as long"
    assert isinstance(loaded.native, Watched)
    assert slowest_call() == loaded.native.slowest > 0


def test_every_job_on_a_users_model_has_a_limit_in_proportion(tmp_path: Path) -> None:
    location = Location(path=tmp_path / "mlp.onnx", function="", kind="onnx", form="onnx")
    work = Work(Wanted(location), tmp_path, None)  # type: ignore[arg-type]
    limits = {do: partial(limit_of, do, Nothing(), work) for do in SHARES}
    quick = {do: limit() for do, limit in limits.items()}
    assert max(quick.values()) <= SHARES["variant"].seconds + SHARES["mixed"].seconds
    work.load_seconds = 2.0
    assert limits["export"]() == SHARES["export"].least + SHARES["check"].seconds < quick["export"]
    work.load_seconds = 1000.0
    assert limits["export"]() == quick["export"]
    work.load_seconds, work.call_seconds = 0.0, 0.5
    assert all(quick[do] < limit() <= len(KINDS.get(do, (do,))) * MOST_SECONDS for do, limit in limits.items())
    assert limit_of("probe", Nothing(), work) == MOST_SECONDS, "what has steps of its own has the most"


def test_what_was_not_measured_may_take_the_most_and_a_large_file_longer() -> None:
    quick = Pace(load_seconds=2.0, call_seconds=0.01)
    for work, share in SHARES.items():
        assert allowed(work, None) == MOST_SECONDS
        assert allowed(work, quick) < share.seconds + 0.01 * share.calls + 1 < MOST_SECONDS / 2
        assert allowed(work, Pace(call_seconds=1e6)) == MOST_SECONDS
        assert allowed(work, quick, 2 << 30) > allowed(work, quick) + 600


@pytest.mark.parametrize("facts", [{}, {"call_seconds": "soon"}, {"call_seconds": -1}, {"load_seconds": 1}])
def test_a_manifest_of_before_tells_of_no_pace(facts: dict[str, Any]) -> None:
    assert pace_in(facts) is None
    assert pace_in({"call_seconds": 0.5, "load_seconds": 2.0, "more": 1}) == Pace(load_seconds=2.0, call_seconds=0.5)


def test_without_a_terminal_long_steps_are_reported_with_the_remaining_time(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "SILENT_SECONDS", 0.02)
    monkeypatch.setattr(progress, "LOOKING_SECONDS", 0.01)
    narrator = progress.Narrator()
    with narrator.showing():
        steps.hear(Step("The first call of mlp", 60, time.monotonic() + 60))
        while "The first call of mlp" not in narrator._said:
            time.sleep(0.01)
        steps.hear(Step("", 0, 0))
    assert "The first call of mlp is still running; it is given up in 60 s" in capsys.readouterr().err
    steps.hear(Step("Later", 60, 0))
    assert not narrator._under_way, "nobody listens any more"


def test_what_jobs_beside_each_other_do_is_said_once_in_a_while_and_never_when_it_has_ended() -> None:
    """Hundreds of quick steps in three threads; their announcements once came all at once after the end."""
    narrator = progress.Narrator(Terminal(file=io.StringIO()))
    both = threading.Barrier(3)

    def job() -> None:
        both.wait()
        for number in range(200):
            narrator.waiting(Step(f"Call {number}", 60, time.monotonic() + 60))
        narrator.waiting(Step("The check", 60, time.monotonic() + 60))
        both.wait()
        both.wait()
        narrator.waiting(Step("", 0, 0))

    threads = [threading.Thread(target=job) for _ in range(2)]
    for thread in threads:
        thread.start()
    both.wait()
    both.wait()
    now = time.monotonic()
    assert list(narrator.due(now + 1)) == [], "it does not take long yet"
    (said,) = narrator.due(now + SILENT_SECONDS + 1)
    assert said.startswith("The check is still running; it is given up in 4")
    assert list(narrator.due(now + SILENT_SECONDS + SILENT_AGAIN_SECONDS)) == []
    assert len(list(narrator.due(now + SILENT_SECONDS + SILENT_AGAIN_SECONDS + 2))) == 1
    both.wait()
    for thread in threads:
        thread.join()
    assert list(narrator.due(now + 1000)) == []
