"""Exports of a study and of a user are judged by one rule at every level of ONNX Runtime."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from assay.errors import ExportFailedError
from assay.export.checking.check import session_at
from assay.export.checking.levels import Levels, judged_at_levels, sentence_on
from assay.export.record import judged_by
from assay.numerics.guilt import Outcome
from assay.records.results import Agreement, Export
from assay.steps import LOST_VARIABLE

LEVELS = ["disable_all", "enable_basic", "enable_extended", "enable_layout", "enable_all"]
RECORD = Export(architecture="net", size=8, exporter="it", status="failed", weights="w", opset_asked=18, seconds=0)


def test_a_level_that_ended_the_job_before_is_not_loaded_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LOST_VARIABLE, json.dumps({"Loading it at level enable_all": "it was ended by SIGSEGV"}))
    with pytest.raises(ExportFailedError, match=r"does not load in ONNX Runtime at level enable_all.*SIGSEGV"):
        session_at(tmp_path / "none.onnx", "enable_all", "it")
    with pytest.raises(ExportFailedError, match=r"level enable_basic.*File doesn't exist"):
        session_at(tmp_path / "none.onnx", "enable_basic", "it")


def compared(level: str, *, passed: bool) -> Agreement:
    return Agreement(
        subject=f"it at level {level}, batch 3",
        images=3,
        max_absolute=0.0 if passed else 1.8,
        max_relative=0.0,
        tolerance=1e-6,
        derivation="",
        largest_moved=0,
        passed=passed,
        reason="" if passed else "differs by 1.8",
    )


def judge(wrong: tuple[str, ...] = (), refused: tuple[str, ...] = ()) -> Callable[[str], list[Agreement]]:
    def at(level: str) -> list[Agreement]:
        if level in refused:
            raise ExportFailedError(f"it does not load in ONNX Runtime at level {level}")
        return [compared(level, passed=True), compared(level, passed=level not in wrong)]

    return at


def levels(wrong: tuple[str, ...] = (), refused: tuple[str, ...] = ()) -> Levels:
    return judged_at_levels(LEVELS, judge(wrong, refused))


def checked(found: Levels, others: Callable[[], dict[str, Outcome]]) -> Export:
    return judged_by(found.agreements, sentence_on(found, others)).on(RECORD)


def nobody() -> dict[str, Outcome]:
    raise AssertionError("nobody has to be asked where a level agrees")


def test_a_file_that_agrees_everywhere_has_no_reason() -> None:
    assert sentence_on(levels(), nobody).reason == ""
    assert checked(levels(), nobody).status == "ok"


def test_an_export_that_only_the_optimiser_gets_wrong_may_be_used() -> None:
    done = checked(levels(wrong=("enable_extended", "enable_all")), nobody)
    assert (done.status, done.file_is_right) == ("ok", True)
    assert (done.wrong_in, done.right_in) == (["extended", "all"], "no-opt")
    assert done.reason == (
        "the file is right (it agrees at level no-opt, basic, layout), ONNX Runtime's optimiser is wrong at level "
        "extended, all: it at level enable_extended, batch 3: differs by 1.8 (and 1 more)"
    )


def test_one_that_the_optimiser_breaks_may_be_used_too() -> None:
    done = checked(levels(refused=("enable_all",)), nobody)
    assert (done.status, done.wrong_in) == ("ok", ["all"])
    assert "ONNX Runtime's optimiser does not run it at level all" in done.reason
    assert "more" not in done.reason, "there is nothing else to say"


@pytest.mark.parametrize(
    ("others", "status", "words"),
    [
        ({"evaluator": "agrees"}, "ok", "ONNX Runtime is wrong at every level: it at level disable_all"),
        ({"evaluator": "differs"}, "failed", "(and 4 more); the file is wrong: ONNX Runtime and onnx's reference"),
        ({}, "failed", "the file is wrong, or ONNX Runtime is, the only one that runs it"),
    ],
)
def test_where_no_level_agrees_others_are_asked(others: dict[str, Outcome], status: str, words: str) -> None:
    done = checked(levels(wrong=tuple(LEVELS)), lambda: others)
    assert done.status == status
    assert words in done.reason


def test_a_file_that_runs_at_no_level_has_no_wrong_numbers() -> None:
    with pytest.raises(ExportFailedError, match="does not load in ONNX Runtime at level disable_all"):
        levels(refused=tuple(LEVELS))
