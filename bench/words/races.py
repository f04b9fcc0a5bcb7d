"""The fastest in each precision, like against like, in sentences that go with a group's verdict. Pure functions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from assay.bench.judging.races import computed_in
from assay.bench.report.evidence import CellGroup, agreement_fails, group_of, is_timed, median_of
from assay.bench.tasks.task import task_of
from assay.bench.words.names import runtime_in_words
from assay.bench.words.numbers import counted, in_processes, interval, inverse, listed, ratio
from assay.records.base import ONCE
from assay.records.races import OF_ALL, Race
from assay.records.results import Cell, Results
from assay.runtimes.entry import TIERS

Outcome = Literal["faster", "slower", "same", "undecided", "invalid", "missing"]


@dataclass(frozen=True)
class Said:
    """The result of one race between ONNX and native.

    Attributes:
        precision: precision of the race, see `Race`.
        outcome: outcome as in `assay.bench.words.verdict.Verdict`; "missing" where one side was not timed.
        text: whole sentences.
    """

    precision: str
    outcome: Outcome
    text: str


def said_of_races(results: Results) -> list[Said]:
    """Describe the races of all groups, in their order."""
    return [said(race, results) for race in results.races]


def beside(group: CellGroup, results: Results) -> list[Said]:
    """Describe the races of a group, without the one of its verdict."""
    told = [one.precision for one in results.comparisons if group == group_of(one)]
    races = [race for race in results.races if group_of(race) == group]
    return [said(race, results) for race in races if race.precision not in told]


def tiers_in_words(group: CellGroup, precision: str, results: Results) -> str:
    """Name the fastest of each tier in one precision, where all three are there; otherwise ""."""
    race = next((one for one in results.races if group_of(one) == group and one.precision == precision), None)
    return _tiers(race, results) if race else ""


def said(race: Race, results: Results) -> Said:
    """Return the outcome of a race in a sentence, or why there is none that counts."""
    if race.verdict is None or race.speedup is None:
        return Said(race.precision, "missing", _one_sided(race, results))
    wrong = [label for label in (race.native, race.onnx) if _fails(label, race, results)]
    if wrong:
        names = listed([runtime_in_words(label) for label in wrong])
        text = f"{_place_in_words(race, results)}, agreement FAILS for {names}: the times must not be used."
        return Said(race.precision, "invalid", text)
    tiers = _tiers(race, results)
    text = f"{_place_in_words(race, results)}, {_speed(race, results)}."
    return Said(race.precision, race.verdict, f"{text} {tiers}".rstrip())


def counts_in_words(results: Results, precision: str) -> str:
    """Return "In int8 ONNX is faster in 3 of 4 cases and slower in 1." for one precision's races; "" where it has
    none.
    """
    races = [race for race in results.races if race.precision == precision]
    found = [said(race, results) for race in races]
    counts = Counter(one.outcome for one in found)
    names: dict[Outcome, str] = {
        "faster": "faster",
        "slower": "slower",
        "same": "the same within 2 %",
        "undecided": "not distinguishable",
    }
    parts = [f"{words} in {counts[outcome]}" for outcome, words in names.items() if counts[outcome]]
    kept = len(found) - counts["missing"] - counts["invalid"]
    where = f"A{_of_all(results)[1:]}, ONNX's fastest" if precision == OF_ALL else f"In {precision} ONNX"
    if not parts:
        sides = dict.fromkeys(
            f"{side} {precision} {_why_absent(side, r, results)}" for r in races for side in _absent(r)
        )
        return "" if precision == OF_ALL else " ".join(f"{one[0].upper()}{one[1:]}." for one in sides)
    return f"{where} is {listed(parts)} of {counted(kept, 'case')}."


def _label_in_words(label: str, cell: Cell | None) -> str:
    """Name a runtime with the precision observed in it, unless its name has that."""
    name = runtime_in_words(label)
    if cell is None or f" in {computed_in(cell)}" in name:
        return name
    return f"{name} in {computed_in(cell)}"


def _speed(race: Race, results: Results) -> str:
    onnx, native = (_named(label, race, results) for label in (race.onnx, race.native))
    assert race.speedup is not None
    if race.verdict in {"faster", "slower"}:
        factor = race.speedup if race.verdict == "faster" else inverse(race.speedup)
        return f"{onnx} is {ratio(factor)} {race.verdict} than the fastest native runtime, {native}"
    pair = f"{onnx} and the fastest native runtime, {native},"
    if race.verdict == "same":
        return f"{pair} are the same within 2 %: the ratio of their medians is {ratio(race.speedup)}"
    return (
        f"{pair} cannot be distinguished with {in_processes(race.processes)} each: the ratio is {ratio(race.speedup)}"
    )


def _one_sided(race: Race, results: Results) -> str:
    """Name the side that is there, and say that nothing of the other side was timed."""
    if race.native and race.onnx:
        return f"{_place_in_words(race, results)}, no two cells were timed in the same blocks."
    label = race.native or race.onnx
    where = "natively" if race.native else "through ONNX"
    what = race.precision if race.precision != OF_ALL else "anything else"
    absent = [f"{side} {what} {_why_absent(side, race, results)}" for side in _absent(race)]
    fastest = f"{_named(label, race, results)} is the fastest {where}{_ms(label, race, results)}"
    return f"{_place_in_words(race, results)}, {fastest}; {' and '.join(absent)}."


def _absent(race: Race) -> list[str]:
    return [side for side, label in (("native", race.native), ("ONNX", race.onnx)) if not label]


def _why_absent(side: str, race: Race, results: Results) -> str:
    """Say that it was not timed, or that its times do not count."""
    cells = [cell for cell in _cells(race, results) if cell.is_native == (side == "native") and cell.tier]
    timed = [cell for cell in cells if is_timed(cell) and race.precision in {OF_ALL, computed_in(cell)}]
    return "was timed and cannot be ranked" if timed else "was not timed"


def _tiers(race: Race, results: Results) -> str:
    """Name the fastest of each tier with its time, where all three are there; the race's sentence names two already."""
    if len(race.best) < len(TIERS):
        return ""
    parts = [
        f"{words}: {_named(race.best[tier], race, results)}{_ms(race.best[tier], race, results)}"
        for tier, words in TIERS.items()
        if tier in race.best
    ]
    return f"The fastest {'; '.join(parts)}."


def _named(label: str, race: Race, results: Results) -> str:
    """Name it with its precision in a race of all; in a race of one precision that is said before."""
    return _label_in_words(label, _cell(label, race, results)) if race.precision == OF_ALL else runtime_in_words(label)


def _ms(label: str, race: Race, results: Results) -> str:
    cell = _cell(label, race, results)
    return f", {interval(median_of(cell), ' ms')}" if cell and is_timed(cell) else ""


def _fails(label: str, race: Race, results: Results) -> bool:
    cell = _cell(label, race, results)
    return cell is not None and agreement_fails(cell, results)


def _cell(label: str, race: Race, results: Results) -> Cell | None:
    return next((cell for cell in _cells(race, results) if cell.label == label), None)


def _cells(race: Race, results: Results) -> Sequence[Cell]:
    return [cell for cell in results.cells if group_of(cell) == group_of(race)]


def _place_in_words(race: Race, results: Results) -> str:
    words = _of_all(results) if race.precision == OF_ALL else f"in {race.precision}"
    return words[0].upper() + words[1:]


def _of_all(results: Results) -> str:
    return f"among all that keep their {task_of(results).quality or ONCE}"
