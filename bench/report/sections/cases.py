"""One table of all cases: which is how many times as fast, whether the numbers hold, and remarks."""

from __future__ import annotations

import math

from assay.bench.report.contenders import Case, called, cases
from assay.bench.report.drawing.palette import families_of, series_of
from assay.bench.report.evidence import CellGroup, Evidence, agreement_fails, conditions, group_of, median_of
from assay.bench.report.page.blocks import Lane, Lanes, Mark, Section, Tone
from assay.bench.words.explanation import explanations
from assay.bench.words.numbers import SPACE, TIMES, counted, interval, inverse, ratio, significant
from assay.bench.words.races import Outcome
from assay.bench.words.verdict import Verdict, verdicts

SIGNS: dict[Outcome, tuple[str, Tone]] = {
    "faster": ("faster", "good"),
    "slower": ("slower", "bad"),
    "same": ("same", "good"),
    "undecided": ("undecided", "notice"),
    "invalid": ("invalid", "bad"),
    "missing": ("no verdict", "muted"),
}
TICKS = ((0.2, 0.5, 1, 2, 5), (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100), (1e-4, 1e-3, 0.01, 0.1, 1, 10, 100, 1e3, 1e4))
MOST_TICKS = 6
CAPTION = (
    f"Speed relative to the native runtime in the verdict, which is 1{TIMES}: further right is faster, and equal "
    "distances are equal ratios. A filled mark is the fastest of its family, and an open one the fastest in reduced "
    "precision; lines are 95 % intervals. Verdicts compare ONNX with native runtimes in the same precision. Select a "
    "case for its verdict in words."
)


def all_cases(evidence: Evidence) -> Section | None:
    """Draw a lane for each group, and below it the verdict with the figures that explain it."""
    told = verdicts(evidence.results)
    if not told:
        return None
    known = {case.group: case for case in cases(evidence)}
    marks = {group: _marks(case) for group, case in known.items()}
    ends = [end for some in marks.values() for one in some for end in (one.low, one.high)]
    low, high = (min([*ends, 1.0]) / 1.08, max([*ends, 1.0]) * 1.08)
    lanes = tuple(_lane(evidence, one, known.get(one.group), marks.get(one.group, ())) for one in told)
    fitting = [[tick for tick in some if low <= tick <= high] for some in TICKS]
    few = next(
        (some for some in fitting if len(some) <= MOST_TICKS and some[0] / 5 < low and high < some[-1] * 5), [1.0]
    )
    ticks = tuple((tick, f"{tick:g}{TIMES}") for tick in few)
    legend = families_of(series_of(cell.label, cell.framework) for case in known.values() for cell in case.firsts())
    block = Lanes("cases", CAPTION, lanes, (low, high), ticks, legend)
    title = f"All {counted(len(lanes), 'case')}" if len(lanes) > 1 else "The case"
    return Section("cases", title, "", (block,))


def _lane(evidence: Evidence, told: Verdict, case: Case | None, marks: tuple[Mark, ...]) -> Lane:
    sign, tone = SIGNS[told.outcome]
    texts = [f"{told.place}, {told.finding}", *(one.text for one in told.beside)]
    texts += explanations(evidence.results, told)
    audit, audit_tone = _agreement(evidence, told.group)
    return Lane(
        place=conditions(told.group, size=bool(told.group.size), batch=True, threads=evidence.threads_vary),
        run=called(case.fastest) if case else "nothing",
        time=f"{significant(median_of(case.fastest).value)}{SPACE}ms" if case else "",
        gain=_gain(case) if case else "",
        sign=f"{sign} {_by(case)}".rstrip() if case and told.outcome in {"faster", "slower"} else sign,
        tone=tone,
        audit=audit,
        audit_tone=audit_tone,
        marks=marks,
        texts=tuple(texts),
    )


def _gain(case: Case) -> str:
    gain = case.gain(case.fastest)
    return "native" if case.fastest.is_native else ratio(gain) if gain else ""


def _by(case: Case) -> str:
    """Say how many times as fast, or as slow, the fastest runtime through ONNX is as the native one."""
    if case.comparison is None:
        return ""
    speedup = case.comparison.speedup
    factor = inverse(speedup) if case.comparison.verdict == "slower" else speedup
    return f"{significant(factor.value, 2)}{TIMES}"


def _agreement(evidence: Evidence, group: CellGroup) -> tuple[str, Tone]:
    """Say whether everything timed here agrees, taking the audit into account."""
    cells = [cell for cell in evidence.timed if group_of(cell) == group]
    wrong = sum(agreement_fails(cell, evidence.results) for cell in cells)
    if wrong:
        return f"{wrong} of {len(cells)} wrong", "bad"
    silent = any(cell.agreement is None for cell in cells)
    return ("not compared", "notice") if silent or not cells else (f"all {len(cells)} agree", "good")


def _marks(case: Case) -> tuple[Mark, ...]:
    """Mark the fastest cell of each family and precision, relative to the fastest native one."""
    found = []
    for cell in reversed(case.firsts()):
        gain, series = case.gain(cell), series_of(cell.label, cell.framework)
        if gain is None or not (0 < gain.low <= gain.high < math.inf):
            continue
        text = f"{called(cell)}: {interval(median_of(cell), f'{SPACE}ms')}, {ratio(gain)}"
        found.append(Mark(gain.value, gain.low, gain.high, text, series.token, series.shape, cell.reduced_precision))
    return tuple(found)
