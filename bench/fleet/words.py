"""Joined runs in sentences, for the terminal and the page: winners, and how certain they are."""

from __future__ import annotations

from collections.abc import Sequence

from assay.bench.fleet.levels import LEAST_MACHINES
from assay.bench.fleet.machines import Machine
from assay.bench.fleet.races import fastest_on, where_the_winner_changes
from assay.bench.words.numbers import SPACE, counted, interval, inverse, listed, pixels, ratio
from assay.fleet.choice import ChoiceOnKind, KindChoice
from assay.fleet.joined import GroupOfCells, Joined, JoinedKind, KindCell, KindRace
from assay.fleet.kind import LEAST_OF_A_KEY, short_names
from assay.records.base import Interval
from assay.records.races import OF_ALL


def spoken(joined: Joined) -> list[str]:
    """Return the whole in lines for the terminal."""
    kinds = [f"{one.name}: {counted(one.machines, 'machine')}{_price(joined, one)}" for one in joined.kinds]
    races = [f"{place_of(race.group, joined)}: {race_in_words(race, joined)}" for race in joined.races]
    return [
        f"{joined.title}: {counted(len(joined.runs), 'run')} on {counted(len(joined.kinds), 'kind')} of machine",
        *kinds,
        *races,
        *changes_in_words(joined),
        *cheapest_in_words(joined),
        *(f"Ruler: {one}" for one in rulers_that_failed(joined)),
        *(f"Allowed: {one}" for one in joined.allowed),
    ]


def listed_machines(machines: Sequence[Machine]) -> list[dict[str, str]]:
    """Return a row for each machine, those of a kind together: the names that a study may ask for it by, and whether
    it gets work.
    """
    names = short_names(one.kind for one in machines if not one.refused)
    return [
        {
            "machine": one.labels.get("name", one.name),
            "key": one.key[:LEAST_OF_A_KEY],
            "kind": "" if one.refused else one.labels.get("kind") or names[one.kind.key],
            "kind_key": "" if one.refused else one.kind.short_key,
            "hardware": "" if one.refused else one.kind.words,
            "state": _state(one),
        }
        for one in sorted(machines, key=lambda one: (bool(one.refused), one.kind.key, one.name))
    ]


def _state(machine: Machine) -> str:
    """Return which work a machine gets, and what is known of its self-check."""
    if machine.refused:
        return f"gets no work: {machine.refused}"
    if machine.checked is None:
        return "ready, not yet checked"
    return "ready, passed its self-check" if machine.checked else "gets no timing: it did not pass its self-check"


def groups_of_cells(joined: Joined) -> list[GroupOfCells]:
    """Return the groups in the order of the cells."""
    return list(dict.fromkeys(cell.group for cell in joined.cells))


def place_of(group: GroupOfCells, joined: Joined) -> str:
    """ "bloodnet at 28x28, batch 1, 2 threads", with what all groups share left out."""
    architecture, size, batch, threads = group
    parts = [_model(architecture, size), f"batch {batch}"]
    if any(one.threads != threads for one in joined.cells):
        parts.append(counted(threads, "thread"))
    return ", ".join(parts)


def _model(architecture: str, size: int) -> str:
    return f"{architecture} at {pixels(size)}" if size else architecture


def race_in_words(race: KindRace, joined: Joined) -> str:
    """ "on c7i.large in fp32, ONNX is 2.1x (2.0-2.2) as fast as native (...; 3 machines, valid for this kind)"."""
    on, machines = joined.name_of(race.kind), len(race.by_machine)
    what = " in any precision" if race.precision == OF_ALL else f" in {race.precision}"
    sides = f"{race.onnx} against {race.native}"
    whose = "this kind" if machines >= LEAST_MACHINES else "each of them" if machines > 1 else "it alone"
    said = {
        "faster": f"ONNX is {ratio(race.speedup)} as fast as native",
        "slower": f"native is {ratio(inverse(race.speedup))} as fast as ONNX",
        "same": "ONNX and native are the same within 2 %",
        "undecided": f"ONNX is {ratio(race.speedup)} as fast as native, which is inconclusive",
    }[race.verdict]
    return f"on {on}{what}, {said} ({sides}; {counted(machines, 'machine')}, valid for {whose})"


def changes_in_words(joined: Joined) -> list[str]:
    """Say where another side wins on another kind, and where another runtime is fastest."""
    found = []
    for won, lost in where_the_winner_changes(joined.races):
        where = place_of(won.group, joined)
        found.append(
            f"The winner changes: {where}, ONNX wins on {joined.name_of(won.kind)} and native on "
            f"{joined.name_of(lost.kind)}."
        )
    for group in groups_of_cells(joined):
        fastest = {kind.name: best for kind in joined.kinds if (best := fastest_on(kind.key, group, joined.cells))}
        if len({one.label for one in fastest.values()}) > 1:
            told = listed([f"{one.label} on {name}" for name, one in fastest.items()])
            found.append(f"The fastest is a different one: {place_of(group, joined)}, {told}.")
    return found


def cheapest_in_words(joined: Joined) -> list[str]:
    """Name, for each model, the kind and cell with the least cost of a million rows."""
    found = []
    for model in dict.fromkeys((cell.architecture, cell.size) for cell in joined.cells):
        priced = [one for one in joined.cells if (one.architecture, one.size) == model and one.cost_per_million]
        if priced:
            best = min(priced, key=lambda one: one.cost_per_million.value if one.cost_per_million else 0.0)
            where = f"{setting(best)}, on {joined.name_of(best.kind)}"
            found.append(f"Cheapest of {_model(*model)}: {best.label}, {where}, {_cost(best, joined)}.")
    return found


def choice_in_words(choice: KindChoice) -> list[str]:
    """Return the answer and the best on every other kind, in lines."""
    answer = next((one for one in choice.on_kinds if one.kind == choice.kind), None)
    if answer is None:
        return [
            "No candidate qualifies on any kind of machine:",
            *(f"  {one.name}: {one.reason}" for one in choice.on_kinds),
        ]
    lines = [f"{answer.cell} on {answer.name}: {_value(answer, choice)}"]
    lines += [f"Serve with {answer.serve_with}."] if answer.serve_with else []
    others = [one for one in choice.on_kinds if one is not answer]
    lines += ["On the other kinds:"] if others else []
    for one in others:
        told = " (not distinguishable from the answer)" if one.tied else ""
        lines.append(f"  {one.name}: {f'{one.cell}, {_value(one, choice)}{told}' if one.cell else one.reason}")
    return lines


def _value(one: ChoiceOnKind, choice: KindChoice) -> str:
    assert one.value is not None  # it has a cell
    unit = {"latency": f"{SPACE}ms", "throughput": " rows a second", "cost": f"{SPACE}{choice.currency}".rstrip()}
    of = " for a million rows" if choice.objective == "cost" else ""
    return f"{interval(one.value)}{unit[choice.objective]}{of}, {counted(one.machines, 'machine')}"


def rulers_that_failed(joined: Joined) -> list[str]:
    """Name the machines whose self-check failed, or that had none."""
    found = []
    for run in joined.runs:
        if run.ruler_passed is not True:
            said = "was not checked" if run.ruler_passed is None else "did NOT pass its self-check"
            found.append(f"machine {run.machine} of {joined.name_of(run.kind)} {said}")
    return list(dict.fromkeys(found))


def setting(cell: KindCell) -> str:
    """ "batch 32, 2 instances of 1 thread"."""
    threads = counted(cell.threads, "thread")
    return (
        f"batch {cell.batch}, {counted(cell.instances, 'instance')} of {threads}"
        if cell.instances > 1
        else (f"batch {cell.batch}, {threads}")
    )


def money(estimate: Interval, joined: Joined) -> str:
    """Return an amount in the prices' currency."""
    return f"{interval(estimate)}{f'{SPACE}{joined.currency}' if joined.currency else ''}"


def _cost(cell: KindCell, joined: Joined) -> str:
    assert cell.cost_per_million is not None  # it was looked for
    return f"{money(cell.cost_per_million, joined)} for a million rows"


def _price(joined: Joined, kind: JoinedKind) -> str:
    if kind.price_per_hour is None:
        return ""
    return f", {kind.price_per_hour:g}{f' {joined.currency}' if joined.currency else ''} an hour"
