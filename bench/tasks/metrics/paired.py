"""A metric of two sides that answered the same records: intervals, difference and test, by `statistics.resampling`.

A metric may be any function, so that it is called again on every draw. Draws on which it is not defined, as where one
class is missing, are left out, and the method says how many.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.bench.statistics.resampling import RESAMPLES, SEED, exchanged_p_value, interval_over
from assay.errors import InputError
from assay.numerics.judgement import Quality

Array = NDArray[Any]
Named = Mapping[str, Array]
Numbered = Callable[[Named, Any], float]
"""A metric that gives a number, or raises InputError."""

LEAST_DRAWS = 100
SECONDS = 60.0
"""The time that all draws of all subjects together may take, unless they are as few as `LEAST_DRAWS`."""


@dataclass(frozen=True)
class Paired:
    """A metric of the reference's answers, ready to be compared with those of others to the same records.

    Attributes:
        score: the metric.
        name: its name.
        base: the reference's outputs by name, (records, ...).
        labels: the right answers: an array, or several by name.
        value: the metric of the reference.
        draws: places of the records in each draw, (draws, records).
        drawn: the metric of the reference on each draw, (draws,); NaN where it is not defined.
    """

    name: str
    score: Numbered
    base: Named
    labels: Any
    value: float
    draws: NDArray[np.int64]
    drawn: NDArray[np.float64] = field(repr=False)

    def quality_of(self, found: Named) -> Quality:
        """Return the metric of other answers, (records, ...) by name, beside the reference's.

        Raises:
            InputError: it is not defined on the records, or on too few draws of them.
        """
        records = len(self.draws[0])
        with _quiet():
            value = self.score(found, self.labels)
        drawn = np.array([_or_nan(self.score, _taken(found, one), _taken(self.labels, one)) for one in self.draws])
        known = np.isfinite(drawn) & np.isfinite(self.drawn)
        _check_defined(self.name, known)
        by = value - self.value
        return Quality(
            name=self.name,
            value=interval_over(value, drawn[known], records),
            base=interval_over(self.value, self.drawn[known], records),
            method=self._method(known),
            share=False,
            is_metric=True,
            difference=interval_over(by, (drawn - self.drawn)[known], records),
            p_value=exchanged_p_value(by, self._exchanged(found)) if by else 1.0,
            test=f"approximate randomisation over records, {len(self.draws):,} exchanges (Noreen 1989)",
        )

    def _exchanged(self, found: Named) -> NDArray[np.float64]:
        """Return the differences after the answers to some records are exchanged, (draws,)."""
        random = np.random.default_rng(SEED)
        differences = []
        for _ in self.draws:
            which = random.random(len(self.draws[0])) < 0.5
            sides = [
                {name: np.where(_like(which, one[name]), other[name], one[name]) for name in one}
                for one, other in ((found, self.base), (self.base, found))
            ]
            first, second = (_or_nan(self.score, side, self.labels) for side in sides)
            differences.append(first - second)
        return np.array(differences)

    def _method(self, known: NDArray[np.bool_]) -> str:
        lost = f"; not defined on {int((~known).sum())} of them" if not known.all() else ""
        return f"bootstrap over records, {len(known):,} draws, expanded percentiles (Hesterberg 2015){lost}"


def paired_with(name: str, score: Numbered, base: Named, labels: Any, subjects: int) -> Paired:
    """Return the metric of the reference, on as many draws as the time for so many subjects allows.

    Raises:
        InputError: it is not defined on the records, or there are too few.
    """
    records = len(next(iter(base.values())))
    if records < 2:
        raise InputError("A metric needs two records or more for its interval", found=f"{records} in --inputs")
    begun = time.monotonic()
    with _quiet():
        value = score(base, labels)
    a_call = max(time.monotonic() - begun, 1e-6)
    count = int(min(max(SECONDS / (a_call * (1 + 3 * subjects)), LEAST_DRAWS), RESAMPLES))
    draws = np.random.default_rng(SEED).integers(0, records, (count, records))
    drawn = np.array([_or_nan(score, _taken(base, one), _taken(labels, one)) for one in draws])
    _check_defined(name, np.isfinite(drawn))
    return Paired(name, score, base, labels, value, draws, drawn)


def _check_defined(name: str, known: NDArray[np.bool_]) -> None:
    if known.sum() < len(known) / 2:
        raise InputError(
            f"The metric {name} has no interval",
            expected="a metric that is defined on most draws of the records",
            found=f"a number on {int(known.sum())} of {len(known)}",
            remedy="Give more records, or a metric that is defined where a class is missing",
        )


def _taken(some: Any, places: Sequence[int] | NDArray[np.int64]) -> Any:
    """Return the records at these places, of one array or of several by name."""
    return {name: one[places] for name, one in some.items()} if isinstance(some, Mapping) else some[places]


def _like(which: NDArray[np.bool_], rows: Array) -> NDArray[np.bool_]:
    return which.reshape(-1, *(1,) * (rows.ndim - 1))


def _or_nan(score: Numbered, outputs: Named, labels: Any) -> float:
    try:
        with _quiet():
            return score(outputs, labels)
    except InputError:
        return float("nan")


def _quiet() -> AbstractContextManager[object]:
    """Return a context in which libraries' warnings about single draws are not shown."""
    return warnings.catch_warnings(action="ignore")
