"""From the estimates of each machine to those of its kind: the sample's levels are machine, process, block and call.

The spread of the highest level that was repeated holds the spread of all below it, so that the interval of a mean over
machines needs nothing but what each machine gave (Kalibera & Jones 2013, "Rigorous benchmarking in reasonable time",
section 4: repetition belongs where the variation is). Ratios are formed within a machine and their logarithms are
averaged over machines: a machine that is slow at everything then counts for nothing.

Three machines or more are a sample of their kind, and the interval is Student's over them. One or two prove nothing
about a third: what is said then is said of these machines, each with the interval of its own processes, and the
interval of both reaches over both. A verdict on fewer than three is one that each of them gives (an intersection-union
test, Berger 1982, "Multiparameter hypothesis testing and acceptance sampling", Technometrics 24). Pure functions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from assay.bench.judging.verdicts import judge
from assay.bench.statistics.stats import CONFIDENCE, Ratio, standard_error
from assay.numerics.distributions import student_quantile
from assay.records.base import Interval, Verdict

LEAST_MACHINES = 3
"""Fewest machines that are a sample of their kind, for the reasons of `assay.bench.judging.verdicts`."""


def within_machine(runs: Sequence[Ratio]) -> Ratio:
    """Combine several runs on one machine: the mean of their logarithms, each as certain as its processes are."""
    if len(runs) == 1:
        return runs[0]
    squares = [one.log_standard_error**2 for one in runs]
    known = all(one.degrees > 0 for one in runs)
    spread = sum(square**2 / one.degrees for square, one in zip(squares, runs, strict=True)) if known else 0.0
    return Ratio(
        log_mean=float(np.mean([one.log_mean for one in runs])),
        log_standard_error=math.sqrt(sum(squares)) / len(runs),
        degrees=(sum(squares) ** 2 / spread if spread else math.inf) if known else 0.0,
        processes=sum(one.processes for one in runs),
        blocks=sum(one.blocks for one in runs),
        numerators=max(one.numerators for one in runs),
        denominators=max(one.denominators for one in runs),
    )


def over_machines(machines: Sequence[Ratio]) -> Ratio | None:
    """Return the ratio of their kind, of which the machines are a sample; None for fewer than three."""
    if len(machines) < LEAST_MACHINES:
        return None
    logs = [one.log_mean for one in machines]
    error, degrees = standard_error(logs)
    return Ratio(
        log_mean=float(np.mean(logs)),
        log_standard_error=error,
        degrees=degrees,
        processes=len(machines),
        blocks=sum(one.blocks for one in machines),
        numerators=max(one.numerators for one in machines),
        denominators=max(one.denominators for one in machines),
    )


def ratio_of_kind(machines: Sequence[Ratio]) -> Interval:
    """Return the ratio with its interval: of the kind from three machines on, otherwise of those measured."""
    found = over_machines(machines)
    return found.interval if found else _reaching_over([one.interval for one in machines])


def estimate_of_kind(machines: Sequence[Interval]) -> Interval:
    """Return the same for a quantity such as a time: from each machine's estimate with its own interval."""
    if len(machines) < LEAST_MACHINES:
        return _reaching_over(machines)
    error, degrees = standard_error([math.log(one.value) for one in machines])
    factor = math.exp(student_quantile(degrees, (1 + CONFIDENCE) / 2) * error)
    value = _geometric_mean(machines)
    return Interval(value=value, low=value / factor, high=value * factor)


def of_machine(runs: Sequence[Interval]) -> Interval:
    """Combine the runs of one machine: the geometric mean, and an interval that covers those of all of them."""
    return runs[0] if len(runs) == 1 else _reaching_over(runs)


def spread_between(values: Sequence[float]) -> float | None:
    """Return the spread of a kind's machines as the standard deviation of the logarithm; None for a single one."""
    return float(np.std(np.log(values), ddof=1)) if len(values) > 1 else None


def judge_kinds(families: Sequence[Sequence[Ratio]]) -> list[Verdict]:
    """Return one verdict for each question, all of them one family.

    Args:
        families: ratio within each machine of one kind, for each question.
    """
    asked = [[found] if (found := over_machines(machines)) else list(machines) for machines in families]
    told = iter(judge([ratio for ratios in asked for ratio in ratios]))
    verdicts = [{next(told) for _ in ratios} for ratios in asked]
    return [next(iter(said)) if len(said) == 1 else "undecided" for said in verdicts]


def _reaching_over(machines: Sequence[Interval]) -> Interval:
    value = _geometric_mean(machines)
    low, high = min(one.low for one in machines), max(one.high for one in machines)
    return Interval(value=value, low=min(low, value), high=max(high, value))


def _geometric_mean(machines: Sequence[Interval]) -> float:
    return math.exp(float(np.mean([math.log(one.value) for one in machines])))
