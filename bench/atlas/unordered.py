"""Results that come in no order that is defined, as those of unique and top-k that need not be sorted, are put into one
order before they are compared. They are picked from the inputs, and none is computed: they are equal, or wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from assay.bench.atlas.conditioning import at_every_level
from assay.train.brought.arrays import Records
from assay.train.brought.loaders.loaded import Unordered
from assay.train.brought.model import UserModel

Array = NDArray[np.generic]


def same_in_one_order(model: UserModel, file: Path, records: Records, native: Array, called: Unordered) -> bool:
    """Return whether a file gives, at every level of optimisation, the model's own results in any order.

    Args:
        native: the model's results, (records, `model.width`).
    """
    if len(model.outputs) != 1 + len(called.others) or not model.whole:
        return False
    own = in_one_order(_outputs(model, native), called)
    for rows in at_every_level(model, file, records):
        if rows is None or rows.shape != native.shape:
            return False
        if not all(map(np.array_equal, own, in_one_order(_outputs(model, rows), called))):
            return False
    return True


def _outputs(model: UserModel, rows: Array) -> list[Array]:
    return [rows[0, part].reshape(output.shape) for output, part in model.parts]


def in_one_order(outputs: Sequence[Array], called: Unordered) -> list[Array]:
    """Return an operator's outputs with its values in ascending order, and its further outputs with them.

    Args:
        outputs: its values, and those of its further outputs that were asked for.
    """
    values, others = outputs[0], outputs[1:]
    if called.lines:
        lines = [np.moveaxis(np.atleast_1d(one), called.axis, -1) for one in outputs]
        order = np.lexsort(lines[::-1])
        return [np.take_along_axis(one, order, -1) for one in lines]
    slices = np.moveaxis(values, called.axis, 0)
    flat = slices.reshape(len(slices), -1)
    order = np.lexsort(flat.T[::-1]) if flat.size else np.arange(len(flat))
    ranks = np.argsort(order)
    return [
        slices[order],
        *(
            _ranked(one.astype(np.int64), ranks) if is_place else one[order]
            for one, is_place in zip(others, called.others, strict=True)
        ),
    ]


def _ranked(places: NDArray[np.int64], ranks: NDArray[np.integer]) -> Array:
    """Return the ranks of places, -1 for one that there is not."""
    known = (places >= 0) & (places < len(ranks))
    return np.where(known, ranks[np.where(known, places, 0)], -1) if len(ranks) else places
