"""A user's model called on many records, and a test of whether a row changes with the other rows of a call."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from assay.errors import InputError
from assay.numerics.agreement import FLOOR_ULPS
from assay.numerics.following import is_counted, reason_not_followed
from assay.numerics.precisions import is_quantised
from assay.numerics.rounding import rounding_of
from assay.numerics.values import differences, is_whole, settled
from assay.train.brought.arrays import Records, inputs_of, repeated, rows_of
from assay.train.brought.loaders.loaded import Compute
from assay.train.brought.model import UserModel
from assay.train.brought.outputs import IncomparableError

Array = NDArray[np.generic]

MOST_ROWS = 32
"""The most records that are compared; onnx's reference evaluator, which is slow, computes fewer in float64."""
SECONDS_OF_GIVEN = 5.0
"""How long the records that a user gives may take in all, beyond the first ones; every check takes a multiple of it."""
ALONE = 8
"""The number of rows that are also run one by one."""
ROUNDED_OTHERWISE = 0.01
"""The largest share of an output's whole numbers that may change with the other rows: those of values that nearly
tie.
"""


def computed(model: UserModel, compute: Compute, records: Records, rows: int = MOST_ROWS) -> Array:
    """Return the outputs of records in rows, called as the model wants it.

    Args:
        rows: number of rows in one call, where the model takes any number.
    """
    step = 1 if model.whole else model.batch or rows
    found = []
    for start in range(0, len(records), step):
        part = records[start : start + step]
        whole = repeated(part, step) if model.batch else part
        outputs = rows_of(model, list(compute(inputs_of(model, whole)).values()))
        found.append(outputs[: len(part)])
    return np.concatenate(found)


def as_many_as_given(records: int, seconds: float) -> int:
    """Return how many of a user's own records are compared: all, if that is quick; else a multiple of `MOST_ROWS`.

    Args:
        seconds: time that `MOST_ROWS` of them took.
    """
    more = int(SECONDS_OF_GIVEN / max(seconds, 1e-6)) * MOST_ROWS
    return min(records, max(more, MOST_ROWS))


def company_matters(model: UserModel, compute: Compute, records: Records, rows: Array, at_once: int = MOST_ROWS) -> str:
    """Say how rows change with the other rows of a call, or "": in another order, and one by one.

    Args:
        rows: the model's outputs for the records, (records, width).
        at_once: number of rows in one call, where the model takes any number.
    """
    if model.whole or model.batch == 1:
        return ""
    for company, order, size in _companies(model, len(records), at_once):
        try:
            again = computed(model, compute, records[order], size)
        except IncomparableError:
            raise
        except InputError as error:
            return f"calls of {size} rows fail, {error}" if size > 1 else f"calls of one row fail: {error}"
        if apart := rows_apart(model, rows[order], again):
            return f"{apart} between calls of {min(len(records), model.batch or at_once)} rows {company}"
    return ""


def _companies(model: UserModel, count: int, at_once: int) -> Iterator[tuple[str, NDArray[np.integer], int]]:
    if count > 1:
        yield "in one order and in another", np.random.default_rng(1).permutation(count), at_once
        if model.batch is None and at_once > 1:
            yield "and of one", np.arange(min(ALONE, count)), 1


def rows_apart(model: UserModel, rows: Array, again: Array) -> str:
    """Say by how much the same rows differ beyond the model's rounding, or ""; every output on its own scale."""
    repeatable = rounding_of(model.arithmetic).repeatable
    scales = [settled(rows[:, part], rows[:, part]).scale for one, part in model.parts if not is_whole(one.dtype)]
    floor = FLOOR_ULPS * float(np.spacing(np.float32(max(scales, default=0.0))))
    for output, part in model.parts:
        if is_quantised(model.arithmetic) and not is_counted(output.dtype, model.arithmetic):
            if reason := reason_not_followed(settled(rows[:, part], again[:, part])):
                return f"output '{output.name}': {reason}"
            continue
        if is_whole(output.dtype):
            counted = differences(rows[:, part], again[:, part])
            if counted.differing > ROUNDED_OTHERWISE * counted.values:
                return f"output '{output.name}': {counted}"
            continue
        both = settled(rows[:, part], again[:, part])
        if both.problem or both.apart > max(repeatable * both.scale, floor):
            return f"output '{output.name}' is " + (
                "finite in other places" if both.problem else f"{both.apart:.3g} apart"
            )
    return ""
