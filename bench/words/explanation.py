"""Why one runtime is faster, in a sentence or two for each group of comparable cells. Pure functions of a `Results`.

The sentences rest on attribution (a trusted profile, a skeleton), on the bound of the machine, and on
operators aligned by layer. Where the two estimators contradict each other that is said instead, and where there are
no data nothing is. Time is that of a call at the host boundary, as in every chart: kernels, framework, transfer.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace

from assay.bench.report.evidence import group_of
from assay.bench.words.names import runtime_in_words
from assay.bench.words.no_verdict import said_once_of_invalid
from assay.bench.words.numbers import DASH, SPACE, inverse, listed, percentage, significant
from assay.bench.words.verdict import Verdict, verdicts
from assay.records.attribution import Attribution, ProfiledEstimate, SkeletonEstimate
from assay.records.base import Interval
from assay.records.races import SpeedComparison
from assay.records.results import Cell, Results
from assay.records.roofline import Bound

FAR_BEHIND = 2.0
NEAR_THE_LIMIT = 0.7
MOST = 0.75
NEARLY_ALL = 0.9
CONVOLUTION = re.compile(r"conv(?!ert)", re.IGNORECASE)
CAUSES = {"kernels": "the kernels", "framework": "framework overhead", "transfer": "the transfer of input and output"}


@dataclass(frozen=True)
class Told:
    """Knowledge about one cell's time.

    Attributes:
        name: the runtime, in words.
        kernel_ms, framework_ms: times by the estimator that counts, at the device boundary.
        transfer_ms: time that the host boundary adds.
        by: "" where two estimators agree, otherwise the only one there is: "profile" or "skeleton".
        bound: the least time the machine allows, if it is known.
    """

    name: str
    attribution: Attribution
    kernel_ms: Interval
    framework_ms: Interval
    transfer_ms: float
    by: str
    bound: Bound | None

    @property
    def whole_ms(self) -> float:
        return self.kernel_ms.value + self.framework_ms.value + self.transfer_ms

    @property
    def rate(self) -> float | None:
        """Share of the machine's rate at which the kernels run, or None where it is not known."""
        return self.bound.bound_ms / self.kernel_ms.value if self.bound and self.kernel_ms.value > 0 else None


@dataclass(frozen=True)
class Contradiction:
    """Two estimators that cannot both be right, as shares of the time at the device boundary."""

    name: str
    profile: float
    skeleton: float


def explanations(results: Results, found: Verdict) -> list[str]:
    """Explain the verdict of a group: first on the two it compares, then on a framework far behind both."""
    comparison = next((one for one in results.comparisons if group_of(one) == found.group), None)
    if comparison is None or found.outcome in {"invalid", "missing"}:
        return []
    return [*_on_the_compared(results, comparison), *_on_the_farthest(results, comparison)]


def spoken(results: Results) -> Iterator[str]:
    """Iterate over every verdict with the sentences on other precisions and the first one of its explanation.

    At the end come the labels that are INVALID everywhere; for the terminal.
    """
    for found in verdicts(results):
        yield found.sentence
        yield from (f"  {one.text}" for one in found.beside)
        yield from (f"  {sentence}" for sentence in explanations(results, found)[:1])
    yield from said_once_of_invalid(results)


def _on_the_compared(results: Results, comparison: SpeedComparison) -> list[str]:
    onnx, native = (_known(results, comparison, label) for label in (comparison.onnx, comparison.native))
    if comparison.verdict in {"same", "undecided"}:
        return _both_near_the_limit(onnx, native)
    slow, fast = (native, onnx) if comparison.verdict == "faster" else (onnx, native)
    if isinstance(slow, Contradiction):
        return [_unsettled(slow)]
    if slow is None:
        return []
    if not isinstance(fast, Told):
        return [f"{_spends(slow)}."]
    if slow.by and slow.by == fast.by:
        slow, fast, both = replace(slow, by=""), replace(fast, by=""), f" (by their {slow.by}s alone)"
    else:
        both = ""
    return [f"{_spends(slow)}, where {_spends_too(fast)}{both}{_cause(slow, fast)}."]


def _on_the_farthest(results: Results, comparison: SpeedComparison) -> list[str]:
    """Describe the framework whose fastest runtime is farthest behind, if it takes twice the winner's time
    significantly.
    """
    onnx_wins = comparison.speedup.value > 1
    winner = comparison.onnx if onnx_wins else comparison.native
    ratio = inverse(comparison.speedup) if onnx_wins else Interval(value=1, low=1, high=1)
    behind = _far_behind(results, comparison, FAR_BEHIND * ratio.high)
    if behind is None:
        return []
    slow, fast = (_known(results, comparison, label) for label in (behind, winner))
    if isinstance(slow, Contradiction):
        return [_unsettled(slow)]
    if slow is None:
        return []
    times = comparison.ratios[behind].value / ratio.value
    text = _spends(slow, f", {significant(times, 2)} times as slow as the fastest,")
    if not isinstance(fast, Told):
        return [f"{text}."]
    return [f"{text}{_cause(slow, fast)}{_worst_layer(slow, fast)}."]


def _far_behind(results: Results, comparison: SpeedComparison, least: float) -> str | None:
    """Return the label of the slowest of the frameworks' fastest runtimes, leaving out the two compared.

    Args:
        least: multiple of the fastest native runtime's time that it must significantly exceed.
    """
    fastest: dict[str, str] = {}
    frameworks = {cell.label: cell.framework for cell in results.cells if group_of(cell) == group_of(comparison)}
    for label in sorted(comparison.ratios, key=lambda label: comparison.ratios[label].value):
        fastest.setdefault(frameworks.get(label, ""), label)
    compared = {name.rsplit("/", 1)[-1] for name in (comparison.onnx, comparison.native)}
    others = [label for label in fastest.values() if label not in compared]
    most = max(others, key=lambda label: comparison.ratios[label].value, default=None)
    return most if most is not None and comparison.ratios[most].low >= least else None


def _both_near_the_limit(*pair: Told | Contradiction | None) -> list[str]:
    fractions = {one.name: one.bound.fraction for one in pair if isinstance(one, Told) and one.bound}
    if len(fractions) < len(pair) or min(fractions.values()) < NEAR_THE_LIMIT:
        return []
    reached = listed([f"{name} reaches {percentage(min(fraction, 1.0))}" for name, fraction in fractions.items()])
    most = significant(1 / min(*fractions.values(), 1.0), 2)
    limit = f"no runtime could be more than {most} times as fast without computing less"
    return [f"{reached} of the rate this machine allows: {limit}."]


def _known(results: Results, comparison: SpeedComparison, label: str) -> Told | Contradiction | None:
    """Return the knowledge about a cell of the group, by its label, or None where there is none."""
    cells = [cell for cell in results.cells if group_of(cell) == group_of(comparison)]
    cell = next((cell for cell in cells if label in {cell.label, cell.name}), None)
    one = next((one for one in results.attributions if cell and one.cell == cell.name), None)
    if cell is None or one is None:
        return None
    bound = next((bound for bound in results.bounds if bound.cell == cell.name), None)
    return told(cell, one, bound)


def told(cell: Cell, one: Attribution, bound: Bound | None) -> Told | Contradiction | None:
    """Return the estimate of a cell's parts that counts: a trusted profile's, otherwise the skeleton's."""
    name = runtime_in_words(cell.label)
    profiled = one.profiled if one.profiled.trusted and one.profiled.kernel_ms else None
    skeleton = one.skeleton if one.skeleton.kernel_ms else None
    if profiled and skeleton and one.agree is False:
        return Contradiction(name, _kernel_share(profiled, one), _kernel_share(skeleton, one))
    estimate = profiled or skeleton
    if estimate is None or estimate.kernel_ms is None or estimate.overhead_ms is None:
        return None
    by = "" if profiled and skeleton else "profile" if profiled else "skeleton"
    kernels, framework = _not_negative(estimate.kernel_ms), _not_negative(estimate.overhead_ms)
    return Told(name, one, kernels, framework, max(one.transfer_ms, 0.0), by, bound)


def _kernel_share(estimate: ProfiledEstimate | SkeletonEstimate, one: Attribution) -> float:
    assert estimate.kernel_ms is not None
    return estimate.kernel_ms.value / one.wall_ms.value


def _not_negative(estimate: Interval) -> Interval:
    return Interval(value=max(estimate.value, 0.0), low=max(estimate.low, 0.0), high=max(estimate.high, 0.0))


def _spends(one: Told, aside: str = "") -> str:
    """Return "jax.jit spends 96 % (95-97) of its time in convolution kernels running at 1 % of the machine's rate"."""
    pace = ""
    if one.rate is not None:
        of_rate = f"running at {percentage(one.rate)} of the machine's rate"
        pace = f" {of_rate}" if one.rate < 1 else " at the machine's full rate"
    return f"{one.name}{aside} spends {_share(one)} of its time in {_kind(one)}kernels{pace}{_alone(one)}"


def _spends_too(one: Told) -> str:
    """Say the same of a second runtime, more briefly."""
    pace = ""
    if one.rate is not None:
        pace = f" at {percentage(one.rate)}" if one.rate < 1 else " at the full rate"
    return f"{one.name} spends {_share(one)} in kernels{pace}{_alone(one)}"


def _share(one: Told) -> str:
    """Return the kernels' share of a call, with its interval where that is not narrower than the whole percents
    shown.
    """
    kernels = one.kernel_ms
    shares = (100 * min(ms / one.whole_ms, 1.0) for ms in (kernels.value, kernels.low, kernels.high))
    value, low, high = (f"{share:.0f}" for share in shares)
    return f"{value}{SPACE}%" if low == high else f"{value}{SPACE}% ({low}{DASH}{high})"


def _alone(one: Told) -> str:
    return f" (by its {one.by} alone)" if one.by else ""


def _kind(one: Told) -> str:
    """Return "convolution " where nearly everything that the profiler recorded was a convolution."""
    operators = one.attribution.operators
    share = sum(found.share for found in operators if CONVOLUTION.search(f"{found.kind} {found.name}"))
    return "convolution " if share >= NEARLY_ALL else ""


def _cause(slow: Told, fast: Told) -> str:
    """Say which part makes the difference between two, or nothing where the intervals do not."""
    difference = slow.whole_ms - fast.whole_ms
    if difference <= 0:
        return ""
    transfer = slow.transfer_ms - fast.transfer_ms
    parts = {
        "kernels": _share_of(slow.kernel_ms, fast.kernel_ms, difference),
        "framework": _share_of(slow.framework_ms, fast.framework_ms, difference),
        "transfer": Interval(value=transfer / difference, low=transfer / difference, high=transfer / difference),
    }
    name, most = max(parts.items(), key=lambda pair: pair[1].value)
    if most.low < 0.5:
        return ""
    if most.value < MOST:
        return f"; {percentage(most.value)} of the difference is {CAUSES[name]}"
    other = "framework overhead" if name == "kernels" else "the kernels"
    return f"; the difference is {CAUSES[name]}, not {other}"


def _share_of(slow: Interval, fast: Interval, difference: float) -> Interval:
    """Return the share of the difference due to one part; the widest that the two intervals allow."""
    return Interval(
        value=(slow.value - fast.value) / difference,
        low=(slow.low - fast.high) / difference,
        high=(slow.high - fast.low) / difference,
    )


def _worst_layer(slow: Told, fast: Told) -> str:
    """Name the layer that loses most, where both have layers; otherwise the one operator that is nearly everything."""
    if not slow.attribution.operators or not (slow.attribution.profiled.trusted and fast.attribution.profiled.trusted):
        return ""
    mine, other = _by_layer(slow.attribution), _by_layer(fast.attribution)
    lost = {layer: mine[layer] - other[layer] for layer in mine if layer in other}
    layer = max(lost, key=lambda name: lost[name], default=None)
    if layer is not None and lost[layer] > 0:
        taken, enough = (f"{significant(ms, 2)}{SPACE}ms" for ms in (mine[layer], other[layer]))
        return f" (most is lost in {layer}: {taken} where {fast.name} takes {enough}, as profiled)"
    longest = slow.attribution.operators[0]
    if longest.share < MOST:
        return ""
    return f" (one operator, {longest.name}, takes {percentage(longest.share)} of the time of all)"


def _by_layer(one: Attribution) -> dict[str, float]:
    found: dict[str, float] = defaultdict(float)
    for operator in one.operators:
        if operator.layer:
            found[operator.layer] += operator.ms
    return found


def _unsettled(one: Contradiction) -> str:
    return (
        f"It is not settled why {one.name} takes longer: its profile counts {percentage(one.profile)} of a call as "
        f"kernels, its skeleton {percentage(one.skeleton)}."
    )
