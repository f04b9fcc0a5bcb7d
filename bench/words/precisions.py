"""The benefit of a smaller precision, across runtimes, in sentences. Pure functions."""

from __future__ import annotations

from assay.bench.report.evidence import CellGroup
from assay.bench.words.names import runtime_in_words
from assay.bench.words.numbers import SPACE, counted, interval, ratio, scaled
from assay.records.attribution import PrecisionFactors
from assay.records.base import Interval
from assay.records.results import Results


def precisions_in_words(group: CellGroup, results: Results) -> list[str]:
    """Return a sentence for each precision that several runtimes of a group were timed in, and in fp32 as well."""
    return [
        _sentence(one)
        for one in results.precisions
        if not one.graphs and CellGroup(one.architecture, one.size, one.batch, one.threads) == group
    ]


def _sentence(one: PrecisionFactors) -> str:
    """ "int8 makes it 3.6x as fast as in fp32, in the mean of 3 runtimes; the choice of ... makes ... 15 %."."""
    *first, last = [runtime_in_words(label) for label in sorted(one.runtimes)]
    who = f"{', '.join(first)} or {last}"
    if one.gain.value <= 1:
        brings = f"{one.precision} makes it no faster than in fp32 ({ratio(one.gain)})"
    else:
        brings = f"{one.precision} makes it {ratio(one.gain)} as fast as in fp32"
    mean = f"in the mean of {counted(len(one.runtimes), 'runtime')}"
    return f"{brings}, {mean}; the choice of {who} makes a difference of {_share(one.between)}."


def _share(between: Interval) -> str:
    """Say how much more the slowest takes than the fastest, "15 % (12-18)"; never below nothing."""
    more = Interval(value=between.value - 1, low=max(between.low - 1, 0.0), high=between.high - 1)
    return interval(scaled(more, 100), f"{SPACE}%")
