"""Which machine does what, and what happens after a failure: the conductor's rules, without any process."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.bench.fleet.conduct import conduct
from assay.bench.fleet.dispatch import Assignment, Dispatch, EarlierTry, Ending, Preparation, Work
from assay.bench.fleet.machines import Machine
from assay.bench.fleet.on_machine import disturbed_in
from assay.bench.fleet.waiting import Waiting
from assay.bench.fleet.words import listed_machines
from assay.bench.timing.trials import BUDGET_SPENT
from assay.bench.words.progress import Narrator
from assay.errors import DiskError, FailedError, InputError, WorkerError
from assay.fleet.kind import MachineIdentity, kind_in
from assay.fleet.section import FleetSection
from assay.jobs.host import Starter
from tests.bench.fleet.planted import kind
from tests.bench.report.sample_results import sample_results

GROUPS = ["bloodnet/28/t1", "bloodnet/64/t1", "resnet18/28/t1"]


def machine(number: int, of: str = "small", **labels: str) -> Machine:
    return Machine(f"place{number}", f"node{number}", kind(of), MachineIdentity(machine=f"identity{number}"), labels)


def prepared(dispatch: Dispatch, *machines: Machine) -> list[tuple[Work, Machine]]:
    """The work that is started first when all architectures are prepared."""
    dispatch.sees(machines)
    begun = list(dispatch.next())
    while begun and any(isinstance(work, Preparation) for work, _ in begun):
        for work, _ in begun:
            if isinstance(work, Preparation):
                dispatch.ended(work, Ending.DONE)
        begun = [one for one in begun if not isinstance(one[0], Preparation)] + list(dispatch.next())
    return begun


def timed(dispatch: Dispatch, begun: list[tuple[Work, Machine]]) -> Counter[tuple[str, str]]:
    """All timed work, by group and machine, if everything goes well."""
    found: Counter[tuple[str, str]] = Counter()
    while begun:
        work, on = begun.pop(0)
        assert isinstance(work, Assignment)
        found[work.group, on.name] += 1
        dispatch.ended(work, Ending.DONE)
        begun += dispatch.next()
    return found


def test_each_kind_has_every_group_once_and_its_machines_share_them() -> None:
    dispatch = Dispatch(GROUPS, FleetSection())
    found = timed(dispatch, prepared(dispatch, machine(1), machine(2), machine(3, "large")))
    assert Counter(group for group, _ in found) == dict.fromkeys(GROUPS, 2)
    assert {group for group, name in found if name == "node3"} == set(GROUPS)
    assert {name for _, name in found} == {"node1", "node2", "node3"}
    assert dispatch.is_over


def test_what_is_finished_is_in_the_order_of_the_study_whichever_ended_first() -> None:
    dispatch = Dispatch(GROUPS[:2], FleetSection(machines=("node1", "node2")))
    begun = prepared(dispatch, machine(1), machine(2))
    while begun:
        dispatch.ended(begun.pop()[0], Ending.DONE)
        begun += dispatch.next()
    assert [(one.group, one.slot) for one in dispatch.with_times] == [
        (group, name) for group in GROUPS[:2] for name in ("node1", "node2")
    ]
    assert list(dispatch.finished) != dispatch.with_times


def test_counts_take_as_many_machines_of_a_kind_for_each_group() -> None:
    asked = FleetSection(machines={"small": 2, "accelerated": 1})
    dispatch = Dispatch(GROUPS, asked)
    others = machine(4, "large", kind="accelerated"), machine(5, "other")
    found = timed(dispatch, prepared(dispatch, machine(1), machine(2), machine(3), *others))
    assert Counter(group for group, _ in found) == dict.fromkeys(GROUPS, 3)
    assert set(found.values()) == {1}, "a group twice on one machine is no second machine"
    assert {name for _, name in found} & {"node4", "node5"} == {"node4"}


def test_names_take_those_machines_for_every_group() -> None:
    dispatch = Dispatch(GROUPS, FleetSection(machines=("node2", "mine")))
    found = timed(dispatch, prepared(dispatch, machine(1), machine(2), machine(3, name="mine")))
    assert found == Counter({(group, name): 1 for group in GROUPS for name in ("node2", "node3")})


def test_a_thousand_machines_each_time_every_group_once() -> None:
    there = [machine(number, f"kind{number % 10}") for number in range(1000)]
    dispatch = Dispatch(GROUPS, FleetSection(machines=tuple(one.name for one in there)))
    found = timed(dispatch, prepared(dispatch, *there))
    assert found == Counter({(group, one.name): 1 for group in GROUPS for one in there})
    assert dispatch.is_over


def test_machines_are_listed_by_kind_with_the_names_that_a_study_may_use() -> None:
    lost = Machine("place9", "node9", kind_in({}), MachineIdentity(), refused="it has Assay 0.0.9, and this machine 1")
    checked = [replace(machine(2), checked=True), replace(machine(3, kind="fast"), checked=False)]
    rows = listed_machines([lost, machine(1, "large", name="lab-7"), *checked])
    assert [one["machine"] for one in rows][-1] == "node9"
    by_name = {one["machine"]: one for one in rows}
    assert by_name["node9"]["state"] == "gets no work: it has Assay 0.0.9, and this machine 1"
    assert by_name["lab-7"]["state"] == "ready, not yet checked"
    assert by_name["node2"]["state"] == "ready, passed its self-check"
    assert by_name["node3"]["state"] == "gets no timing: it did not pass its self-check"
    assert (by_name["lab-7"]["kind"], by_name["node3"]["kind"]) == ("large", "fast")
    assert by_name["node2"]["kind_key"] == by_name["node3"]["kind_key"] == kind("small").key[:6]
    for one in (machine(1, "large", name="lab-7"), machine(2)):
        row = by_name[one.labels.get("name", one.name)]
        assert row["machine"] in one.names
        assert {row["kind_key"], row["kind"]} <= one.names_of_kind


def test_a_machine_does_one_thing_at_a_time_and_others_prepare_meanwhile() -> None:
    dispatch = Dispatch(GROUPS, FleetSection(machines=("node1",)))
    dispatch.sees([machine(1), machine(2)])
    begun = dict(dispatch.next())
    assert {str(work) for work in begun} == {"preparing bloodnet", "preparing resnet18"}
    assert {one.name for one in begun.values()} == {"node1", "node2"}
    dispatch.ended(Preparation("bloodnet"), Ending.DONE)
    assert [(str(work), one.name) for work, one in dispatch.next()] == [("bloodnet/28/t1 on node1", "node1")]
    assert list(dispatch.next()) == []


def test_lost_work_is_restarted_elsewhere_at_most_twice() -> None:
    dispatch = Dispatch(GROUPS[:1], FleetSection())
    all_of_it = [machine(number) for number in range(4)]
    on = []
    begun = prepared(dispatch, *all_of_it)
    for _ in range(3):
        (work, where), *_ = begun
        on.append(where.name)
        assert not dispatch.ended(work, Ending.LOST, "gone")
        begun = list(dispatch.next())
    assert begun == []
    assert len(set(on)) == 3
    assert dispatch.failed == {work: "gone"}
    assert dispatch.is_over


def test_the_only_machine_gets_it_back_when_it_has_been_looked_at_again() -> None:
    dispatch = Dispatch(GROUPS[:1], FleetSection())
    ((work, where),) = prepared(dispatch, machine(1))
    dispatch.ended(work, Ending.LOST, "gone")
    assert list(dispatch.next()) == []
    dispatch.sees([])
    assert dispatch.settle() == [work]
    dispatch.sees([machine(1)])
    assert list(dispatch.next()) == [(work, where)]


def test_what_was_disturbed_is_tried_elsewhere_once_and_bad_input_never() -> None:
    dispatch = Dispatch(GROUPS[:2], FleetSection())
    begun = dict(prepared(dispatch, machine(1), machine(2)))
    refused, disturbed = list(begun)
    dispatch.ended(refused, Ending.REFUSED, "a bad value")
    dispatch.ended(disturbed, Ending.DISTURBED, "stolen")
    ((again, where),) = list(dispatch.next())
    assert again == disturbed
    assert where != begun[disturbed]
    dispatch.ended(again, Ending.DISTURBED, "stolen too")
    assert list(dispatch.next()) == []
    assert list(dispatch.finished) == [disturbed]
    assert dispatch.failed == {refused: "a bad value"}


def test_a_disturbed_group_is_kept_if_there_is_no_other_machine() -> None:
    dispatch = Dispatch(GROUPS[:1], FleetSection())
    ((work, _),) = prepared(dispatch, machine(1))
    assert dispatch.ended(work, Ending.DISTURBED, "stolen")
    assert list(dispatch.finished) == [work]


def test_what_cannot_be_prepared_costs_its_own_groups() -> None:
    dispatch = Dispatch(GROUPS, FleetSection())
    dispatch.sees([machine(1)])
    ((first, _),) = list(dispatch.next())
    dispatch.ended(first, Ending.REFUSED, "no such data")
    found = timed(dispatch, prepared(dispatch, machine(1)))
    assert list(found) == [("resnet18/28/t1", "node1")]
    assert {work.group for work in dispatch.failed if isinstance(work, Assignment)} == set(GROUPS[:2])


def test_what_an_earlier_run_has_is_not_timed_again() -> None:
    here = machine(1)
    done = Assignment(GROUPS[0], here.kind.key)
    finished = EarlierTry(here.key, Ending.DONE)
    dispatch = Dispatch(GROUPS, FleetSection(), lambda one: finished if one == done else None)
    assert set(timed(dispatch, prepared(dispatch, here))) == {(group, "node1") for group in GROUPS[1:]}
    once = Dispatch(GROUPS[:1], FleetSection(), lambda one: EarlierTry(here.key, Ending.DISTURBED))
    assert prepared(once, here) == []
    assert once.settle() == []
    assert list(once.finished) == [done], "its only try stands"
    other = Dispatch(GROUPS[:1], FleetSection(), lambda one: EarlierTry(here.key, Ending.DISTURBED))
    assert [one.name for _, one in prepared(other, here, machine(2))] == ["node2"]


def test_an_interrupted_unit_continues_on_its_machine_and_elsewhere_only_when_that_is_gone() -> None:
    second, begun = machine(2), Assignment(GROUPS[1], machine(1).kind.key)

    def resumed() -> Dispatch:
        return Dispatch(GROUPS[:2], FleetSection(), lambda one: EarlierTry(begun=second.key) if one == begun else None)

    both = resumed()
    assert {str(work.group): on.name for work, on in prepared(both, machine(1), second)} == {  # type: ignore[union-attr]
        GROUPS[0]: "node1",
        GROUPS[1]: "node2",
    }
    waits = resumed()
    ((first, _),) = prepared(waits, machine(1))
    assert first == begun, "its machine is not there, so any other takes it"
    busy = resumed()
    busy.sees([second])
    ((preparing, _),) = list(busy.next())
    busy.sees([machine(1), second])
    busy.ended(preparing, Ending.DONE)
    on = dict(busy.next())
    assert {work: where.name for work, where in on.items()} == {
        Assignment(GROUPS[0], begun.slot): "node1",
        begun: "node2",
    }
    alone = resumed()
    ((unit, where), *rest) = prepared(alone, second)
    assert (unit, where, rest) == (begun, second, []), "what was begun comes first"


def test_a_machine_that_waits_takes_over_when_the_one_that_had_begun_goes_away() -> None:
    second, begun = machine(2), Assignment(GROUPS[0], machine(1).kind.key)
    dispatch = Dispatch(GROUPS[:1], FleetSection(), lambda one: EarlierTry(begun=second.key))
    dispatch.sees([machine(1), second, machine(3)])
    ((preparing, _),) = list(dispatch.next())
    dispatch.sees([machine(1), machine(3)])
    dispatch.ended(preparing, Ending.DONE)
    assert [work for work, _ in dispatch.next()] == [begun]


def test_a_unit_of_which_somebody_ended_a_process_is_timed_again_at_most_twice_and_then_shown() -> None:
    dispatch = Dispatch(GROUPS[:1], FleetSection())
    begun, on = prepared(dispatch, *map(machine, range(4))), []
    for attempt in range(3):
        ((work, where),) = begun
        on.append(where.name)
        assert not dispatch.finished, f"after {attempt} tries"
        assert dispatch.ended(work, Ending.CUT, "SIGKILL")
        begun = list(dispatch.next())
    assert begun == []
    assert len(set(on)) == 3
    assert list(dispatch.finished) == [work]
    assert dispatch.failed == {}


def test_the_only_machine_times_again_what_was_cut_there() -> None:
    dispatch = Dispatch(GROUPS[:1], FleetSection())
    begun = prepared(dispatch, machine(1))
    for end in (Ending.CUT, Ending.DONE):
        ((work, _),) = begun
        dispatch.ended(work, end)
        begun = list(dispatch.next())
    assert list(dispatch.finished) == [work]


def test_what_has_times_is_shown_with_them_where_later_tries_are_lost() -> None:
    dispatch = Dispatch(GROUPS[:1], FleetSection())
    begun = prepared(dispatch, *map(machine, range(5)))
    for end in (Ending.DISTURBED, Ending.LOST, Ending.LOST, Ending.LOST):
        ((work, _),) = begun
        dispatch.ended(work, end)
        begun = list(dispatch.next())
    assert (begun, list(dispatch.finished), dispatch.failed) == ([], [work], {})


def test_a_machine_whose_self_check_fails_gets_no_timing_whatever_it_is_called_later() -> None:
    dispatch = Dispatch(GROUPS, FleetSection())
    ((unit, _),) = prepared(dispatch, machine(1))
    assert not dispatch.ended(unit, Ending.UNFIT, "drift")
    assert list(dispatch.next()) == []
    restarted = replace(machine(1), place="place9")
    dispatch.sees([restarted])
    assert list(dispatch.next()) == []
    dispatch.sees([restarted, machine(2)])
    found = timed(dispatch, list(dispatch.next()))
    assert found == Counter({(group, "node2"): 1 for group in GROUPS})
    assert dispatch.is_over


def test_an_unfit_machine_is_no_other_one_for_what_was_disturbed() -> None:
    dispatch = Dispatch(GROUPS[:1], FleetSection())
    ((unit, first),) = prepared(dispatch, machine(1), machine(2))
    dispatch.ended(unit, Ending.DISTURBED, "stolen")
    ((again, second),) = dispatch.next()
    assert (again, second.name != first.name) == (unit, True)
    dispatch.ended(again, Ending.UNFIT, "drift")
    assert list(dispatch.next()) == []
    assert dispatch.settle() == []
    assert (list(dispatch.finished), dispatch.failed) == ([unit], {})


def test_a_kind_without_a_machine_that_may_time_is_given_up_with_the_reason() -> None:
    dispatch = Dispatch(GROUPS, FleetSection())
    begun = prepared(dispatch, machine(1), machine(2, "large"))
    small = next(work for work, on in begun if on.name == "node1")
    dispatch.ended(small, Ending.UNFIT, "harness floor 9 us")
    found = timed(dispatch, [one for one in begun if one[0] != small])
    assert found == Counter({(group, "node2"): 1 for group in GROUPS})
    assert dispatch.settle() == []
    assert dispatch.is_over
    assert set(dispatch.failed.values()) == {"harness floor 9 us"}
    assert len(dispatch.failed) == len(GROUPS)


def test_a_machine_that_is_refused_gets_nothing() -> None:
    dispatch = Dispatch(GROUPS, FleetSection())
    dispatch.sees([Machine("place", "node", kind(), MachineIdentity(), refused="it has another Assay")])
    assert list(dispatch.next()) == []


@settings(max_examples=20)
@given(st.integers(1, 5), st.integers(1, 3), st.randoms(use_true_random=False))
def test_whatever_happens_every_group_ends_and_no_machine_does_two_things(
    number: int, copies: int, chance: random.Random
) -> None:
    dispatch = Dispatch(GROUPS, FleetSection(machines={"small": copies}))
    every = [machine(one) for one in range(number)]
    doing: dict[Work, Machine] = {}
    kept: Counter[Work] = Counter()
    for _ in range(150):
        dispatch.sees([one for one in every if chance.random() > 0.2])
        for work, on in dispatch.next():
            assert on not in doing.values()
            doing[work] = on
        if doing:
            work = chance.choice(list(doing))
            del doing[work]
            ending = chance.choice(list(Ending))
            kept[work] += dispatch.ended(work, ending, "why") and ending is Ending.DONE
        elif not dispatch.settle():
            dispatch.sees(every)
            if dispatch.is_over:
                break
    assert all(times <= 1 for work, times in kept.items()), "nothing finished is done twice"
    assert not set(dispatch.finished) & set(dispatch.failed)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 5), st.integers(1, 5), st.randoms(use_true_random=False))
def test_what_is_lost_is_timed_where_there_is_no_other_machine_and_never_twice_on_one(
    number: int, copies: int, chance: random.Random
) -> None:
    dispatch = Dispatch(GROUPS, FleetSection(machines={"small": min(copies, number)}))
    every = [machine(one) for one in range(number)]
    doing: dict[Work, Machine] = {}
    done: Counter[tuple[str, str]] = Counter()
    for _ in range(200):
        dispatch.sees(every)
        doing |= dict(dispatch.next())
        if not doing:
            break
        work = chance.choice(list(doing))
        on, lost = doing.pop(work), chance.random() < 0.3
        dispatch.ended(work, Ending.LOST if lost else Ending.DONE, "gone")
        if not lost and isinstance(work, Assignment):
            done[work.group, on.name] += 1
    assert dispatch.is_over, "every machine is there and may do what is left"
    assert set(done.values()) <= {1}


class PlainWaiting(Waiting[Assignment]):
    """The same queue, looked through from its beginning each time."""

    def __init__(self) -> None:
        self.units: list[Assignment] = []

    def __len__(self) -> int:
        return len(self.units)

    def of(self, slot: str) -> list[Assignment]:
        return [one for one in self.units if one.slot == slot]

    def put(self, slot: str, line: str, unit: Assignment, *, first: bool = False) -> None:
        self.units.insert(0 if first else len(self.units), unit)

    def take(self, slot: str, may: Callable[[Assignment], bool]) -> Assignment | None:
        found = next((one for one in self.of(slot) if may(one)), None)
        if found:
            self.units.remove(found)
        return found

    def drop(self, slot: str, dropped: Collection[Assignment]) -> None:
        self.units = [one for one in self.units if one not in dropped]


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 6),
    st.sampled_from(
        [
            FleetSection(),
            FleetSection(machines={"small": 3, "fast": 2, kind("large").key: 1}),
            FleetSection(machines=("node1", "node0", "lab-2", "nobody")),
        ]
    ),
    st.randoms(use_true_random=False),
)
def test_the_plan_is_that_of_a_queue_that_is_looked_through_from_its_beginning(
    number: int, asked: FleetSection, chance: random.Random
) -> None:
    groups = [f"model{one % 3}/{one}/t1" for one in range(chance.randint(1, 9))]
    every = [
        machine(one, chance.choice(["small", "large"]), **chance.choice([{}, {"kind": "fast"}, {"name": f"lab-{one}"}]))
        for one in range(number)
    ]
    tried: dict[Assignment, EarlierTry | None] = {}

    def known(unit: Assignment) -> EarlierTry | None:
        if unit not in tried:
            first, begun = (chance.choice(every).key for _ in range(2))
            ends = (EarlierTry(first, Ending.DONE), EarlierTry(first, Ending.DISTURBED, begun), EarlierTry(begun=begun))
            tried[unit] = chance.choice(ends) if chance.random() < 0.3 else None
        return tried[unit]

    dispatch = Dispatch(groups, asked, known)
    plain = Dispatch(groups, asked, known, _waiting=PlainWaiting())
    doing: list[Work] = []
    for _ in range(60):
        there = [one for one in every if chance.random() > 0.2]
        dispatch.sees(there)
        plain.sees(there)
        begun = list(dispatch.next())
        assert begun == list(plain.next())
        assert (dispatch.left, dispatch.is_over) == (plain.left, plain.is_over)
        doing += [work for work, _ in begun]
        if not doing:
            assert Counter(dispatch.settle()) == Counter(plain.settle())
        for work in chance.sample(doing, chance.randint(0, len(doing))):
            doing.remove(work)
            end = chance.choice([*[Ending.DONE] * 6, *Ending])
            assert dispatch.ended(work, end, "why") == plain.ended(work, end, "why")
    assert dispatch.finished == plain.finished
    assert dispatch.failed == plain.failed


def test_a_machine_is_taken_for_whatever_it_is_called_in_the_order_of_the_study() -> None:
    one = machine(1, "large", name="lab-7", kind="fast")
    asked = ("identity1", "node1", "ident", "identi", "lab-7", "place1", "node2", "Identity1")
    dispatch = Dispatch(GROUPS[:1], FleetSection(machines=asked))
    begun, found = prepared(dispatch, one), list[str]()
    while begun:
        ((unit, _),) = begun
        assert isinstance(unit, Assignment)
        found.append(unit.slot)
        dispatch.ended(unit, Ending.DONE)
        begun = list(dispatch.next())
    assert found == ["identity1", "node1", "identi", "lab-7", "place1"]
    assert one.names_of_kind >= {"fast", "large", one.kind.key, one.kind.key[:6]}
    assert one.kind.key[:5] not in one.names_of_kind


class Simulated:
    """A fleet whose machines come and go as a test determines."""

    def __init__(self, *there: Machine) -> None:
        self.there, self.closed = list(there), False

    def machines(self) -> list[Machine]:
        return self.there

    def host(self, machine: Machine, *, whole: bool) -> AbstractContextManager[Starter]:
        raise AssertionError("nothing is started here")

    def close(self) -> None:
        self.closed = True


def test_the_conductor_gives_out_everything_and_tells_errors_apart() -> None:
    errors = {
        GROUPS[0]: [WorkerError("it was killed")],
        GROUPS[1]: [InputError("a bad value"), InputError("again")],
        GROUPS[2]: [DiskError("no room there")],
    }
    lock, on = threading.Lock(), Counter[str]()

    def do(work: Work, where: Machine) -> tuple[Ending, str]:
        with lock:
            if isinstance(work, Assignment):
                on[work.group] += 1
                if errors[work.group]:
                    raise errors[work.group].pop(0)
        return Ending.DONE, ""

    dispatch = Dispatch(GROUPS, FleetSection())
    conduct(dispatch, Simulated(machine(1), machine(2)), do, Narrator(), look_seconds=0.01)
    assert on == {GROUPS[0]: 2, GROUPS[1]: 1, GROUPS[2]: 2}
    assert {one.group for one in dispatch.finished} == {GROUPS[0], GROUPS[2]}
    assert list(dispatch.failed.values()) == ["on node1: a bad value"] or list(dispatch.failed.values()) == [
        "on node2: a bad value"
    ]


def test_a_fleet_without_machines_is_waited_for_and_then_given_up(capsys: pytest.CaptureFixture[str]) -> None:
    fleet = Simulated()
    with pytest.raises(FailedError, match=r"No machine came.*one within 0\.0005 minutes.*the same command goes on"):
        conduct(Dispatch(GROUPS, FleetSection(wait_minutes=0.0005)), fleet, never, Narrator(), look_seconds=0.01)
    assert fleet.closed
    assert "given up after 0.0005 minutes (fleet.wait_minutes)" in capsys.readouterr().err


def never(work: Work, where: Machine) -> tuple[Ending, str]:
    raise AssertionError("there is no machine")


def test_an_unforeseen_error_ends_the_conductor() -> None:
    fleet = Simulated(machine(1))

    def do(work: Work, where: Machine) -> tuple[Ending, str]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        conduct(Dispatch(GROUPS, FleetSection()), fleet, do, Narrator(), look_seconds=0.01)
    assert fleet.closed


def test_a_group_is_disturbed_by_invalid_cells_and_by_having_no_time_at_all() -> None:
    null, valid, other = (
        cell.model_copy(update={"framework": framework, "invalid": [], "status": "ok"})
        for cell, framework in zip(sample_results().cells, ("", "torch", "onnx"), strict=False)
    )
    spent = {"status": "skipped", "reason": BUDGET_SPENT, "lacks": "time"}
    late = [one.model_copy(update=spent) for one in (valid, other)]
    crashed = other.model_copy(update={"status": "failed", "reason": "a bad operator"})
    invalid = other.model_copy(update={"invalid": ["drift: +9.0%"]})
    assert disturbed_in([null, valid, other, crashed, late[1]]) == []
    assert disturbed_in([null, crashed]) == [], "it fails everywhere"
    assert disturbed_in([null, valid, invalid]) == [f"{other.label} at batch {other.batch}: drift: +9.0%"]
    assert disturbed_in([null, *late]) == [f"{one.label} at batch {one.batch}: {BUDGET_SPENT}" for one in late]
