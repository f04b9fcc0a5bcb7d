"""A fleet's whole course on simulated machines: what is kept of their answers, and what becomes of those that fail."""

from __future__ import annotations

import shutil
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from assay.bench.fleet.conduct import AT_ONCE, FleetRun
from assay.bench.fleet.dispatch import Assignment, Dispatch, Work
from assay.bench.fleet.join import join
from assay.bench.fleet.machines import LostError, Machine
from assay.bench.fleet.on_machine import GroupTimed
from assay.bench.fleet.runs import read_run
from assay.errors import FailedError
from assay.fleet.section import FleetSection
from assay.records.results import RESULTS_FILE, read_results
from assay.store import MANIFEST, Manifest, Store
from assay.study import Study, load_study
from tests.bench.fleet import planted
from tests.bench.fleet.planted import ONNX
from tests.bench.fleet.simulated import SimulatedFleet, conducted, course, nothing
from tests.bench.fleet.test_dispatch import machine
from tests.small_study import small_study

MACHINES = 12
KEEP_SECONDS = 0.02
WAIT_SECONDS = 60.0


def study_of(folder: Path, *sizes: int) -> Study:
    """A study with one group for each size."""
    (folder / "study.toml").write_text(small_study(sizes=sizes))
    return load_study(folder / "study.toml", ())


@dataclass
class Noted(Dispatch):
    """The bookkeeping, with what began on each machine in its order."""

    begun: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def next(self) -> Iterator[tuple[Work, Machine]]:
        for work, on in super().next():
            if isinstance(work, Assignment):
                self.begun[on.name].append(str(work))
            yield work, on


def kept_in(run: FleetRun) -> dict[str, Manifest]:
    """The units that came back, by the names of their folders."""
    found = run.units.folder.glob(f"[!.]*/{MANIFEST}")
    return {one.parent.name: Manifest.model_validate_json(one.read_text()) for one in found}


def test_machines_that_answer_at_the_same_instant_give_what_those_give_that_answer_in_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study, there = study_of(tmp_path, 12, 16), [machine(one) for one in range(MACHINES)]
    asked = FleetSection(machines=tuple(one.name for one in there))
    all_of_them, kept = threading.Barrier(MACHINES), Store.kept
    now, most = 0, 0

    def counted(store: Store, *arguments: Any, **options: Any) -> Any:
        nonlocal now, most
        now += 1
        most = max(most, now)
        time.sleep(KEEP_SECONDS)
        found = kept(store, *arguments, **options)
        now -= 1
        return found

    def at_once(on: Machine, out: Path) -> GroupTimed:
        all_of_them.wait(WAIT_SECONDS)
        return nothing(on, out)

    monkeypatch.setattr(Store, "kept", counted)
    in_turn = course(study, tmp_path / "one", SimulatedFleet(there))
    together = course(study, tmp_path / "all", SimulatedFleet(there, at_once, turn=nullcontext()))
    first, second = (conducted(run, asked, Noted) for run in (in_turn, together))
    assert isinstance(first, Noted)
    assert isinstance(second, Noted)
    assert first.begun == second.begun
    assert set(first.begun) == {one.name for one in there}
    assert first.with_times == second.with_times
    assert len(first.with_times) == 2 * MACHINES
    assert kept_in(in_turn) == kept_in(together)
    assert 1 < most <= AT_ONCE < MACHINES, "few results are kept at once, while all machines are at work"
    assert list(together.units.folder.glob(".*")) == [], "nothing is left of what came back"


def answered(on: Machine, out: Path, *reasons: str) -> GroupTimed:
    """Results in which one cell is INVALID for these reasons."""
    cells = [
        cell.model_copy(update={"invalid": list(reasons)}) if cell.label == ONNX else cell
        for cell in planted.Machine(on.kind, on.key).run(1)[0].cells
    ]
    written = planted.Machine(on.kind, on.key).write(out.parent / f".written-{on.key}", 1, cells=cells)
    shutil.copytree(written, out, dirs_exist_ok=True)
    shutil.rmtree(written)
    return GroupTimed(disturbed="; ".join(reasons))


def reasons_in(run: FleetRun, dispatch: Dispatch) -> list[str]:
    """Why the cell is INVALID in the one result that was kept."""
    (folder,) = run.results(dispatch.with_times)
    return next(cell.invalid for cell in read_results(folder / RESULTS_FILE).cells if cell.label == ONNX)


def test_an_invalid_unit_is_tried_once_elsewhere_and_then_shown_with_both_reasons(tmp_path: Path) -> None:
    study, on = study_of(tmp_path, 28), list[str]()

    def disturbed(where: Machine, out: Path) -> GroupTimed:
        on.append(where.name)
        return answered(where, out, f"stolen on {where.name}")

    fleet = SimulatedFleet([machine(one) for one in range(3)], disturbed)
    run = course(study, tmp_path / "out", fleet)
    dispatch = conducted(run, FleetSection())
    first, second = on
    wanted = [f"stolen on {second}", f"on another machine before: stolen on {first}"]
    assert reasons_in(run, dispatch) == wanted
    again = course(study, tmp_path / "out", fleet)
    assert reasons_in(again, conducted(again, FleetSection())) == wanted
    assert on == [first, second], "a third machine is there, and is not asked"
    joined = join([read_run(one) for one in run.results(dispatch.with_times)], tmp_path / "joined", least=1)
    shown = next(one.reason for one in joined.cells if one.label == ONNX)
    assert shown == f"its times are invalid: {'; '.join(wanted)}"
    assert [one.label for one in joined.cells if one.reason] == [ONNX], "the others are compared"


def test_a_try_that_was_cut_between_two_invalid_ones_loses_no_reason(tmp_path: Path) -> None:
    """Its cells may be INVALID too, and the conductor may be ended at any time: here after it."""
    study, on, ending = study_of(tmp_path, 28), list[str](), list[str]()

    def disturbed(where: Machine, out: Path) -> GroupTimed:
        on.append(where.name)
        timed = answered(where, out, f"stolen on {where.name}")
        if len(on) == 2:
            return timed.model_copy(update={"cut": "somebody ended it"})
        if len(on) == 3 and ending:
            raise RuntimeError(ending.pop())
        return timed

    fleet = SimulatedFleet([machine(one) for one in range(4)], disturbed)
    run = course(study, tmp_path / "out", fleet)
    found = reasons_in(run, conducted(run, FleetSection()))
    first, second, third = on
    assert found == [f"stolen on {third}", *(f"on another machine before: stolen on {one}" for one in (second, first))]
    on.clear()
    ending.append("ended by a test")
    with pytest.raises(RuntimeError, match="ended by a test"):
        conducted(course(study, tmp_path / "ended", fleet), FleetSection())
    assert on == [first, second, third]
    resumed = course(study, tmp_path / "ended", fleet)
    assert reasons_in(resumed, conducted(resumed, FleetSection())) == found
    assert on == [first, second, third, third], "the machine that had begun goes on, and its try is the last one"


def test_an_invalid_unit_that_another_machine_times_well_is_shown_as_that_one_timed_it(tmp_path: Path) -> None:
    study, on = study_of(tmp_path, 28), list[str]()

    def disturbed_first(where: Machine, out: Path) -> GroupTimed:
        on.append(where.key)
        return answered(where, out, *(["stolen"] if len(on) == 1 else []))

    run = course(study, tmp_path / "out", SimulatedFleet([machine(1), machine(2)], disturbed_first))
    dispatch = conducted(run, FleetSection())
    assert reasons_in(run, dispatch) == []
    (kept,) = kept_in(run).values()
    assert kept.facts["machine"] == on[1] != on[0]


def test_a_second_machine_that_comes_later_gives_the_second_reason(tmp_path: Path) -> None:
    """The first command had one machine, and ended with its result; the second one finds another machine."""
    study = study_of(tmp_path, 28)

    def disturbed(where: Machine, out: Path) -> GroupTimed:
        return answered(where, out, f"stolen on {where.name}")

    alone = course(study, tmp_path / "out", SimulatedFleet([machine(1)], disturbed))
    assert reasons_in(alone, conducted(alone, FleetSection())) == ["stolen on node1"]
    both = course(study, tmp_path / "out", SimulatedFleet([machine(1), machine(2)], disturbed))
    wanted = ["stolen on node2", "on another machine before: stolen on node1"]
    assert reasons_in(both, conducted(both, FleetSection())) == wanted


def test_a_fleet_that_shrinks_to_nothing_is_given_up_after_its_limit_and_goes_on_later(tmp_path: Path) -> None:
    study, there, timed = study_of(tmp_path, 12, 16), [machine(1)], list[str]()

    def last_answer(where: Machine, out: Path) -> GroupTimed:
        if timed:
            there.clear()
            raise LostError(f"{where.name} went away")
        timed.append(out.name)
        return nothing(where, out)

    gone = course(study, tmp_path / "out", SimulatedFleet(there, last_answer))
    with pytest.raises(FailedError, match=r"No machine came for bloodnet/16/t1 on .*finished is kept; the same"):
        conducted(gone, FleetSection(wait_minutes=0.001), look_seconds=0.01)
    said = gone.narrator.console.file.getvalue()  # type: ignore[attr-defined]
    assert "waiting for a machine for 1 piece of work (bloodnet/16/t1 on" in said
    assert "given up after 0.001 minutes (fleet.wait_minutes)" in said
    finished = kept_in(gone)
    assert len(finished) == 1
    later = course(study, tmp_path / "out", SimulatedFleet([machine(1)]))
    dispatch = conducted(later, FleetSection(), Noted)
    assert isinstance(dispatch, Noted)
    assert [unit.partition(" ")[0] for unit in dispatch.begun["node1"]] == ["bloodnet/16/t1"]
    assert len(kept_in(later)) == 2
    assert kept_in(later).items() >= finished.items(), "nothing finished is timed again"
