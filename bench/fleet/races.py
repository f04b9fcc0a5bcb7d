"""Native against ONNX on each kind of machine, like with like, and where the winner is another one. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from assay.bench.fleet.cells import OfKind
from assay.bench.fleet.levels import judge_kinds, ratio_of_kind, spread_between, within_machine
from assay.bench.judging.races import Lineup, groups_of, lineups
from assay.bench.judging.summary import dropped, ranked
from assay.bench.statistics.stats import Ratio, ratio_estimate
from assay.fleet.joined import GroupOfCells, KindCell, KindRace
from assay.records.results import Cell


@dataclass(frozen=True)
class _Question:
    """One race: its cells, and the ratio of ONNX over native within each machine."""

    kind: str
    lineup: Lineup
    ratios: dict[str, Ratio]


def races_of_kinds(kinds: Sequence[tuple[OfKind, Sequence[KindCell]]]) -> list[KindRace]:
    """Return the races of every kind, whose verdicts are one family.

    Both sides are chosen by their time on the kind, as the mean over its machines, of the cells that were timed on
    every one of them.
    """
    questions = [one for kind, cells in kinds for one in _questions(kind, cells)]
    verdicts = judge_kinds([list(one.ratios.values()) for one in questions])
    return [_race(one).model_copy(update={"verdict": told}) for one, told in zip(questions, verdicts, strict=True)]


def where_the_winner_changes(races: Iterable[KindRace]) -> list[tuple[KindRace, KindRace]]:
    """Return pairs of races of one group and precision that ONNX wins on one kind and loses on the other."""
    by_case: dict[tuple[GroupOfCells, str], list[KindRace]] = {}
    for race in races:
        by_case.setdefault((race.group, race.precision), []).append(race)
    found = []
    for same in by_case.values():
        won = [one for one in same if one.verdict == "faster"]
        lost = [one for one in same if one.verdict == "slower"]
        found += [(one, other) for one in won for other in lost]
    return found


def fastest_on(kind: str, group: GroupOfCells, cells: Iterable[KindCell]) -> KindCell | None:
    """Return the fastest cell of a group on a kind."""
    timed = [one for one in cells if one.kind == kind and one.group == group and one.median_ms is not None]
    return min(timed, key=lambda one: one.median_ms.value if one.median_ms else 0.0, default=None)


def _questions(kind: OfKind, cells: Sequence[KindCell]) -> list[_Question]:
    found = []
    for them in groups_of(_as_on_the_kind(kind, cells)):
        for lineup in lineups(them):
            ratios = _within_machines(kind, lineup)
            if ratios:
                found.append(_Question(kind.key, lineup, ratios))
    return found


def _as_on_the_kind(kind: OfKind, cells: Sequence[KindCell]) -> list[Cell]:
    """The cells that may be ranked on every machine that has them, with the median of the kind; what a first process
    put out of the running anywhere stays a rival.
    """
    found = []
    for one in cells:
        seen = [cell for run in kind.runs if (cell := run.cells.get(one.cell))]
        valid = next((cell for cell in seen if ranked(cell)), None)
        late = next((cell for cell in seen if dropped(cell)), None)
        having = [runs for runs in kind.machines.values() if any(one.cell in run.cells for run in runs)]
        if one.median_ms and valid and valid.host and len(one.by_machine) == len(having):
            host = valid.host.model_copy(update={"median_ms": one.median_ms})
            found.append(valid.model_copy(update={"host": host}))
        elif late:
            found.append(late)
    return found


def _within_machines(kind: OfKind, lineup: Lineup) -> dict[str, Ratio]:
    """Return ONNX over native by machine; empty where a side is missing or a machine never timed both in one block."""
    native, onnx = lineup.native, lineup.onnx
    if native is None or onnx is None:
        return {}
    found = {}
    for machine, runs in kind.machines.items():
        both = [
            run for run in runs if all(one.name in run.cells and ranked(run.cells[one.name]) for one in (native, onnx))
        ]
        estimates = [ratio_estimate(run.timed[onnx.name]["host"], run.timed[native.name]["host"]) for run in both]
        told = [one for one in estimates if one is not None]
        if not told and any({native.name, onnx.name} & run.cells.keys() for run in runs):
            return {}
        if not told:  # it timed another part of the study
            continue
        found[machine] = within_machine(told).chosen(lineup.exported_rivals, lineup.native_rivals)
    return found


def _race(question: _Question) -> KindRace:
    lineup, inverse = question.lineup, {machine: one.inverse for machine, one in question.ratios.items()}
    native, onnx = lineup.native, lineup.onnx
    assert native is not None
    assert onnx is not None  # it has ratios
    by_machine = {machine: one.interval for machine, one in inverse.items()}
    architecture, size, batch, threads = lineup.key
    return KindRace(
        kind=question.kind,
        architecture=architecture,
        size=size,
        batch=batch,
        threads=threads,
        precision=lineup.precision,
        native=native.label,
        onnx=onnx.label,
        speedup=ratio_of_kind(list(inverse.values())),
        by_machine=by_machine,
        spread=spread_between([one.value for one in by_machine.values()]),
        verdict="undecided",
    )
