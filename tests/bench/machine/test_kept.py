"""Facts found once about a machine are found again from every folder, until the machine is restarted."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import JsonValue

from assay.alone import FOLDER_VARIABLE
from assay.bench.fleet.on_machine import why_unfit
from assay.bench.machine.host import LOCAL, LocalHost
from assay.bench.run import Run
from assay.bench.selfcheck.selfcheck import kept_selfcheck, store_selfcheck, stored_selfcheck, this_machine
from assay.bench.stages import roofline
from assay.bench.words.progress import Narrator
from assay.fleet.kind import IDENTITY
from assay.records.roofline import Ceilings, Rate
from assay.records.selfcheck import SELFCHECK_FILE, Check, SelfCheck
from assay.study import Study


class StartedAgain(LocalHost):
    """This machine after a restart."""

    def environment(self) -> dict[str, JsonValue]:
        return super().environment() | {IDENTITY: {"machine": "m", "boot": "another"}}


@pytest.fixture(autouse=True)
def a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "runtime"))


@pytest.fixture
def checked() -> SelfCheck:
    return SelfCheck(
        created="2026-11-28T09:00:00+00:00", machine=this_machine(), seconds=1, passed=True, checks=[], comparisons=[],
        advice=[],
    )  # fmt: skip


def test_a_self_check_is_found_from_every_folder(checked: SelfCheck, tmp_path: Path) -> None:
    store_selfcheck(checked, tmp_path)
    assert stored_selfcheck(tmp_path / "another") == checked
    later = checked.model_copy(update={"created": "2026-11-28T10:00:00+00:00", "passed": False})
    store_selfcheck(later, tmp_path / "third")
    assert stored_selfcheck(tmp_path / "another") == later
    assert stored_selfcheck(tmp_path) == checked, "a folder's own comes first"


def test_it_ends_with_the_machine(checked: SelfCheck, tmp_path: Path) -> None:
    store_selfcheck(checked, tmp_path)
    assert kept_selfcheck(StartedAgain()) is None


def test_one_of_another_version_is_not_kept_as_this_ones(checked: SelfCheck, tmp_path: Path) -> None:
    store_selfcheck(checked.model_copy(update={"machine": checked.machine | {"numpy": "0"}}), tmp_path)
    assert kept_selfcheck() is None


def test_a_damaged_one_is_as_none(checked: SelfCheck, tmp_path: Path) -> None:
    store_selfcheck(checked, tmp_path)
    next((tmp_path / "runtime").rglob(SELFCHECK_FILE)).write_text("{")
    assert kept_selfcheck() is None


def test_a_machine_of_a_fleet_times_only_if_its_self_check_passed(checked: SelfCheck, tmp_path: Path) -> None:
    store_selfcheck(checked, tmp_path)
    assert why_unfit(5, tmp_path / "another") == ""
    floor = Check(name="harness floor", found=9.0, unit="us", bound="at most", required=5.0, passed=False)
    store_selfcheck(checked.model_copy(update={"passed": False, "checks": [floor]}), tmp_path)
    said = "it did not pass its self-check of 2026-11-28T09:00:00+00:00: harness floor 9 µs, required at most 5 µs"
    assert why_unfit(5, tmp_path / "another") == said
    assert why_unfit(0, tmp_path / "another") == "", "none was asked for"


@pytest.mark.slow
def test_a_machine_of_a_fleet_is_checked_once(tmp_path: Path) -> None:
    said = why_unfit(0.1, tmp_path / "course")
    assert "not measured, required at most" in said, "six seconds decide nothing"
    assert why_unfit(0.1, tmp_path / "another") == said, "it names the same check"


def test_ceilings_are_measured_once_until_the_machine_is_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured, quiet = [], []

    def measure(threads: int, cores: tuple[int, ...], run: Run) -> Ceilings:
        measured.append(run.folder.name)
        rate = Rate(best=100.0, median=95.0 if quiet[0] else 15.0, by="torch", repetitions=9, all_best={})
        return Ceilings(threads=threads, cores=cores, gflop_s={"fp32": rate}, bandwidths=[])

    monkeypatch.setattr(roofline, "measure", measure)

    def run(name: str, host: LocalHost = LOCAL, *, again: bool = False) -> None:
        study = Study.model_validate(
            {"name": name, "models": [{"architecture": "bloodnet", "sizes": [28], "epochs": [1]}]}
        )
        roofline.ceilings_of(Run(study, tmp_path / name, tmp_path, Narrator(), host, again=again), 1)

    quiet.append(False)
    run("busy")
    quiet[0] = True
    run("first")
    run("second")
    assert measured.pop(0) == "busy", "what a busy machine shows is measured again"
    assert measured == ["first"]
    run("third", StartedAgain())
    run("fourth", again=True)
    assert measured == ["first", "third", "fourth"]
