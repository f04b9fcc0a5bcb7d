"""The verdict in words: one honest sentence for each group of comparable cells.

Pure functions of a `Results`; the report, the command line and the README quote the same sentences.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

from assay.bench.judging.summary import is_short_of_samples
from assay.bench.judging.validity import TELLING_FLOOR
from assay.bench.report.evidence import (
    CellGroup,
    agreement_fails,
    agreements_of_export,
    group_of,
    is_timed,
)
from assay.bench.statistics.modes import missed
from assay.bench.statistics.stats import LEAST_PROCESSES
from assay.bench.tasks.task import task_of
from assay.bench.words.names import points_of, runtime_in_words, sized
from assay.bench.words.no_verdict import invalid_everywhere, why_nothing_compared
from assay.bench.words.numbers import (
    TIMES,
    counted,
    difference,
    in_processes,
    inverse,
    listed,
    ratio,
    scientific,
    significant,
)
from assay.bench.words.precisions import precisions_in_words
from assay.bench.words.races import Outcome, Said, beside, counts_in_words, tiers_in_words
from assay.numerics.precisions import FULL
from assay.records.base import Interval
from assay.records.races import SpeedComparison
from assay.records.results import Agreement, Cell, Results
from assay.registry import FRAMEWORKS


@dataclass(frozen=True)
class Verdict:
    """One group's verdict on ONNX compared with native.

    Attributes:
        group: the group, by architecture, size, batch and threads.
        outcome: outcome for ONNX: "faster", "slower", "same" (within 2 %) or "undecided" against the fastest native
            runtime; "invalid" where an output does not agree, so that no time counts; "missing" where nothing was
            compared.
        place: place of the comparison, "At 64x64 and batch 1".
        finding: rest of the sentence.
        beside: results of the other precisions, like against like, and the fastest of all; none in older records.
    """

    group: CellGroup
    outcome: Outcome
    place: str
    finding: str
    beside: tuple[Said, ...] = ()

    @property
    def sentence(self) -> str:
        """The sentence where it stands alone, with machine and architecture."""
        place = self.place[0].lower() + self.place[1:]
        return f"On this machine, with {self.group.architecture} {place}, {self.finding}"


def verdicts(results: Results) -> list[Verdict]:
    """Return one verdict for each group that has cells or a comparison, in the order of the groups."""
    comparisons = {group_of(comparison): comparison for comparison in results.comparisons}
    cells = {group_of(cell) for cell in results.cells if cell.framework}
    groups = sorted(cells | set(comparisons))
    threads_vary = len({group.threads for group in groups}) > 1
    return [
        replace(_verdict(group, comparisons.get(group), results, threads_vary), beside=tuple(beside(group, results)))
        for group in groups
    ]


def headline(results: Results) -> str:
    """Return all verdicts in one sentence."""
    found = verdicts(results)
    if not found:
        return "This study timed nothing, so there is no verdict on speed."
    if len(found) == 1:
        return found[0].sentence
    counts = Counter(verdict.outcome for verdict in found)
    if counts["missing"] == len(found):
        if not any(cell.framework in FRAMEWORKS for cell in results.cells):
            return " ".join(f"{one.place}, {one.finding}" for one in found)
        return f"On this machine {found[0].finding}"
    parts = [_faster_part(results, counts["faster"], len(found))]
    parts += [f"slower in {counts['slower']}"] if counts["slower"] else []
    parts += [f"the same within 2 % in {counts['same']}"] if counts["same"] else []
    parts += [f"undecided in {counts['undecided']}"] if counts["undecided"] else []
    text = f"On this machine, {_like_in_words(results)}ONNX is {listed(parts)}."
    if counts["invalid"]:
        text += f" {counted(counts['invalid'], 'comparison')} must not be used: agreement fails."
    if counts["missing"]:
        text += f" In {counted(counts['missing'], 'case')} there was nothing to compare."
    told = {one.precision for one in results.comparisons}
    others = dict.fromkeys(race.precision for race in results.races if {race.precision} != told)
    return " ".join(filter(None, [text, *(counts_in_words(results, precision) for precision in others)]))


def _like_in_words(results: Results) -> str:
    """Return "in fp32 against fp32, ", the precisions of every comparison's sides, where other ones were timed too."""
    told = {one.precision for one in results.comparisons}
    reduced = any(cell.reduced_precision and is_timed(cell) for cell in results.cells)
    return f"in {(one := told.pop())} against {one}, " if len(told) == 1 and reduced else ""


def _faster_part(results: Results, wins: int, groups: int) -> str:
    """Return "faster than the fastest native runtime in 13 of 16 cases (1.2x to 9.6x)"."""
    text = f"faster than the fastest native runtime in {wins} of {groups} cases"
    valid = {verdict.group for verdict in verdicts(results) if verdict.outcome == "faster"}
    speedups = [c.speedup.value for c in results.comparisons if group_of(c) in valid]
    if not speedups:
        return text
    least, most = significant(min(speedups), 2), significant(max(speedups), 2)
    span = f"{least}{TIMES}" if least == most else f"{least}{TIMES} to {most}{TIMES}"
    return f"{text} ({span})"


def _verdict(group: CellGroup, comparison: SpeedComparison | None, results: Results, threads_vary: bool) -> Verdict:
    has_size = group.size or points_of(results)
    place = f"At {sized(group.size, results)} and batch {group.batch}" if has_size else f"At batch {group.batch}"
    if threads_vary:
        place += f" with {counted(group.threads, 'thread')}"
    if comparison is None:
        return Verdict(group, "missing", place, why_nothing_compared(group, results))
    disagreement = _disagreement(comparison, results)
    if disagreement:
        return Verdict(group, "invalid", place, _invalid(comparison, disagreement))
    finding = (
        f"{_speed(comparison, results)}{_of_two_kinds(comparison, results)}; "
        f"{_agreement_clause(comparison, results)}{_left_out(comparison, results)}."
        f"{_in_reduced_precision(comparison, results)}"
    )
    tiers = tiers_in_words(group, comparison.precision, results)
    finding = f"{finding} {tiers}".rstrip()
    return Verdict(group, comparison.verdict, place, finding)


def _speed(comparison: SpeedComparison, results: Results) -> str:
    """Say which side is faster, by how much and how surely."""
    onnx, native = _labels_with_precision(comparison, results)
    if comparison.verdict == "undecided" and 0 < comparison.processes < LEAST_PROCESSES:
        return (
            f"{onnx} and the fastest native runtime, {native}, were timed in {in_processes(comparison.processes)} "
            f"each, and a verdict takes {LEAST_PROCESSES}: the ratio of their medians is {ratio(comparison.speedup)}"
        )
    if comparison.verdict == "undecided":
        return (
            f"{onnx} and the fastest native runtime, {native}, cannot be distinguished: the ratio of their "
            f"medians is {ratio(comparison.speedup)}, which is not enough evidence for either side"
            f"{_what_is_told(comparison)}"
        )
    if comparison.verdict == "same":
        return (
            f"{onnx} and the fastest native runtime, {native}, are the same within 2 %: the ratio of their "
            f"medians is {ratio(comparison.speedup)}{_what_same_rests_on(comparison)}"
        )
    faster = comparison.verdict == "faster"
    factor = comparison.speedup if faster else inverse(comparison.speedup)
    words = f"{onnx} is {ratio(factor)} {comparison.verdict} than the fastest native runtime, {native}"
    return words + _what_the_harness_hides(factor, comparison, results)


def _what_the_harness_hides(factor: Interval, comparison: SpeedComparison, results: Results) -> str:
    """Return " (or 2.9x, without the 4 % of the faster call that are the harness's own)" where calls are that short."""
    cells = [_cell(name, comparison, results) for name in (comparison.onnx, comparison.native)]
    shares = [cell.steadiness.floor_share or 0.0 for cell in cells if cell and cell.steadiness]
    share = max(shares, default=0.0)
    if share <= TELLING_FLOOR:
        return ""
    without = significant((factor.value - share) / (1 - share), 2)
    return f" (or {without}{TIMES}, without the {share:.0%} of the faster call that the harness itself takes)"


def _what_same_rests_on(comparison: SpeedComparison) -> str:
    """Return " (of 3 processes each, ...)", with the chance of a missed kind; "" in records that do not know."""
    if not comparison.processes:
        return ""
    chance = missed(comparison.processes)
    return (
        f" (from {in_processes(comparison.processes)} each; a slowdown of one process in five would be missed with a "
        f"chance of {chance:.0%})"
    )


def _of_two_kinds(comparison: SpeedComparison, results: Results) -> str:
    """Return ", where 2 of 10 processes are 8 % slower than the rest (ONNX Runtime)", as a mean would hide it."""
    found = []
    for name in (comparison.onnx, comparison.native):
        cell = _cell(name, comparison, results)
        if cell and cell.steadiness and cell.steadiness.kinds:
            found.append(f"{cell.steadiness.kinds} ({runtime_in_words(cell.label)})")
    return f", where {listed(found)}" if found else ""


def _what_is_told(comparison: SpeedComparison) -> str:
    """Return "; with 3 processes differences under 6 % cannot be told"; "" in records that do not know."""
    if comparison.told is None:
        return ""
    processes = in_processes(comparison.processes)
    return f" (with {processes} differences under {difference(comparison.told)} cannot be detected)"


def _in_reduced_precision(comparison: SpeedComparison, results: Results) -> str:
    """Describe in a sentence the gain of the fastest ranked cell that computes in less than fp32.

    The gain is separate from ONNX's: it is relative to the same runtime in fp32, and where several were timed in
    both, to all of them. "" where there is none.
    """
    group = group_of(comparison)
    told = precisions_in_words(group, results)
    if told:
        return f" {' '.join(told)}"
    cells = [cell for cell in results.cells if group_of(cell) == group]
    smaller = [cell for cell in cells if cell.reduced_precision and cell.label in comparison.ratios]
    if not smaller:
        return ""
    best = min(smaller, key=lambda cell: comparison.ratios[cell.label].value)
    natives = {cell.precision for cell in cells if cell.is_native and is_timed(cell)}
    untimed = "" if results.races or best.precision in natives else f"; native {best.precision} was not timed"
    name, gain = runtime_in_words(best.label), _gain(best, cells, comparison)
    if gain is None:
        return f" {name} computes in {best.precision} and was not timed in fp32{untimed}."
    if gain.value <= 1:
        return f" {best.precision} makes {name} no faster than it is in fp32{untimed}."
    times = ratio(gain) if gain.low < gain.high else f"about {significant(gain.value, 2)}{TIMES}"
    return f" {best.precision} makes {name} {times} as fast as it is in fp32{untimed}."


def _gain(cell: Cell, cells: list[Cell], comparison: SpeedComparison) -> Interval | None:
    """Return how many times as long the same runtime takes in fp32; without an interval in records that have none."""
    if cell.label in comparison.gains:
        return comparison.gains[cell.label]
    base = next((one for one in cells if one.is_fp32_of(cell) and one.label in comparison.ratios), None)
    if base is None:
        return None
    value = comparison.ratios[base.label].value / comparison.ratios[cell.label].value
    return Interval(value=value, low=value, high=value)


def _invalid(comparison: SpeedComparison, disagreement: str) -> str:
    onnx, native = _labels(comparison)
    return (
        f"the time of {onnx} against {native} ({ratio(comparison.speedup)}) must not be used: "
        f"agreement FAILS, {disagreement}."
    )


def _disagreement(comparison: SpeedComparison, results: Results) -> str:
    """Say which output differs too much from the reference, and by how much; "" where none does."""
    for label, agreements in _agreements(comparison, results).items():
        for agreement in agreements:
            if not agreement.passed:
                detail = agreement.reason or (
                    f"error {scientific(agreement.max_absolute)} where {scientific(agreement.tolerance)} is tolerated"
                )
                return f"{runtime_in_words(label)} differs from the reference ({detail.rstrip('.')})"
    return ""


def _agreement_clause(comparison: SpeedComparison, results: Results) -> str:
    by_label = _agreements(comparison, results)
    silent = [runtime_in_words(label) for label, agreements in by_label.items() if not agreements]
    if silent:
        return f"agreement was not measured for {listed(silent)}"
    moved = [a for agreements in by_label.values() for a in agreements if a.largest_moved]
    if moved:
        worst = max(moved, key=lambda agreement: agreement.largest_moved)
        return f"agreement holds, though {task_of(results).agrees_though(worst)}"
    return "agreement holds"


def _left_out(comparison: SpeedComparison, results: Results) -> str:
    """Name the cells of the group that were timed but not ranked, because their outputs do not agree."""
    group = group_of(comparison)
    wrong = [c for c in results.cells if group_of(c) == group and is_timed(c) and agreement_fails(c, results)]
    labels = [runtime_in_words(cell.label) for cell in wrong if cell.label not in comparison.ratios]
    text = f"; not ranked, because agreement fails: {listed(labels)}" if labels else ""
    told = invalid_everywhere(results)
    timed = [c for c in results.cells if group_of(c) == group and is_timed(c) and c.label not in told]
    invalid = [runtime_in_words(cell.label) for cell in timed if cell.invalid and not is_short_of_samples(cell)]
    return text + (f"; not ranked, because the measurement is invalid: {listed(invalid)}" if invalid else "")


def _agreements(comparison: SpeedComparison, results: Results) -> dict[str, list[Agreement]]:
    """Return all comparisons with the reference of the ONNX cell (and the file it ran) and of the native cell."""
    found: dict[str, list[Agreement]] = {}
    for name in (comparison.onnx, comparison.native):
        cell = _cell(name, comparison, results)
        label = cell.label if cell else name
        found[label] = [cell.agreement] if cell and cell.agreement else []
        found[label] += agreements_of_export(cell, results) if cell else []
    return found


def _cell(name: str, comparison: SpeedComparison, results: Results) -> Cell | None:
    """Return the cell that a comparison names, by its label or its full name."""
    group = group_of(comparison)
    matches = (c for c in results.cells if group_of(c) == group and name in {c.label, c.name})
    return next(matches, None)


def _labels(comparison: SpeedComparison) -> tuple[str, str]:
    """Return the ONNX and the native runtime in words, whether given by label or by cell name."""
    onnx, native = (name.rsplit("/", 1)[-1] for name in (comparison.onnx, comparison.native))
    return runtime_in_words(onnx), runtime_in_words(native)


def _labels_with_precision(comparison: SpeedComparison, results: Results) -> tuple[str, str]:
    """Return the same, each with its precision where it is less than fp32, or the two differ in it.

    The ratio is then not ONNX's alone.
    """
    labels = _labels(comparison)
    cells = [_cell(name, comparison, results) for name in (comparison.onnx, comparison.native)]
    precisions = [(cell.precision or "fp32") if cell else "" for cell in cells]
    if not all(precisions) or (precisions[0] == precisions[1] and precisions[0] in FULL):
        return labels
    onnx, native = (f"{label} in {precision}" for label, precision in zip(labels, precisions, strict=True))
    return onnx, native
