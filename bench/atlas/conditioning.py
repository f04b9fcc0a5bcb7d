"""The effect of a rounding of the inputs on an operator's results: no file is wrong for less than that.

A result that is a small difference of large numbers, or lies beside a jump, changes by more than its own rounding when
an input changes by one. The changes are found by computing in float64 on inputs that are moved by a rounding, up or
down at random (stochastic arithmetic: Vignes, "A stochastic arithmetic for reliable scientific computation", 1993).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from assay.export.checking.check import level_names, session_at
from assay.export.checking.evidence import rows_in
from assay.train.brought.arrays import Records
from assay.train.brought.model import UserModel

Array = NDArray[np.generic]
DRAWS = 12
TIMES = 16.0
"""How many such changes are tolerated: the factor of fp32's own rule, `assay.numerics.agreement`."""
ULPS = 4.0
"""And how many roundings of the result itself, for results that no change of an input moves."""


def moved_by_rounding(
    model: UserModel, records: Records, exact: Array, compute: Callable[[Records], Array]
) -> NDArray[np.float64]:
    """Return the largest change of each result, (records, `model.width`), by a rounding of the inputs; infinite where a
    finite result stops being finite.

    Args:
        exact: the results in float64.
        compute: computes results in float64.
    """
    found = np.zeros(exact.shape)
    for seed in range(DRAWS):
        moved = compute(_moved(model, records, np.random.default_rng(seed)))
        if moved.shape != exact.shape:
            return np.full(exact.shape, np.inf)
        same = (moved == exact) | (np.isnan(moved) & np.isnan(exact))
        with np.errstate(invalid="ignore"):
            apart = np.abs(np.where(same, 0.0, moved) - np.where(same, 0.0, exact)).astype(np.float64)
        found = np.maximum(found, np.nan_to_num(apart, nan=np.inf))
    return found


def _moved(model: UserModel, records: Records, draw: np.random.Generator) -> Records:
    found = records.copy()
    for one in model.inputs:
        values = records[one.name]
        if values.dtype.kind == "f":
            up, down = np.nextafter(values, values.dtype.type(np.inf)), np.nextafter(values, values.dtype.type(-np.inf))
            found[one.name] = np.where(draw.random(values.shape) < 0.5, up, down)
    return found


def is_explained(model: UserModel, file: Path, records: Records, exact: Array, moved: NDArray[np.float64]) -> bool:
    """Return whether a file is as close to float64, at every level, as a rounding of its inputs explains."""
    tolerated = TIMES * moved + ULPS * np.spacing(np.abs(exact.astype(np.float32))).astype(np.float64)
    return all(
        rows is not None and rows.shape == exact.shape and _within(rows, exact, tolerated)
        for rows in at_every_level(model, file, records)
    )


def at_every_level(model: UserModel, file: Path, records: Records) -> Iterator[Array | None]:
    """Yield the results of a file at every level, (records, `model.width`); None where it does not run."""
    for level in level_names():
        try:
            yield rows_in(session_at(file, level, file.name), model, records)
        except Exception:  # noqa: BLE001  ONNX Runtime's exceptions have no common base
            yield None


def _within(rows: Array, exact: Array, tolerated: NDArray[np.float64]) -> bool:
    found, right = rows.astype(np.float64), exact.astype(np.float64)
    same = (found == right) | (np.isnan(found) & np.isnan(right))
    with np.errstate(invalid="ignore"):
        near = np.abs(found - right) <= tolerated
    return bool((same | near | np.isinf(tolerated)).all())
