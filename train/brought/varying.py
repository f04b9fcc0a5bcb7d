"""Outputs whose sizes depend on the values of the inputs: what a detector finds, what is not zero, what is unique.

A row of a record's outputs has room for more than the model gave on any of its records; what is left of it is padding,
a value that no such output has. Two runs are compared where their sizes agree. Entries along the first dimension of
such an output are a set: scores that tie come in any order, so each run's entries are first put into the order of the
reference, each beside the one that is nearest in all outputs of that length together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from assay.errors import InputError
from assay.numerics.values import holding, is_whole, padding_of
from assay.train.brought.model import Tensor, parts_of

Array = NDArray[np.generic]

ROOM, LEAST_ROOM = 2, 8
"""An output has room for so many times the largest size seen, and so many entries more."""
MOST_ENTRIES = 2_000
"""The most entries that are put in order: distances are computed between all of them."""
MOST_APART = 0.25
"""The share of records whose sizes may differ from the reference: those that are decided by values that tie."""


def room_for(sizes: int) -> int:
    """Return the size of a dimension that has to hold so many entries, or more."""
    return ROOM * sizes + LEAST_ROOM


def padded(value: Array, output: Tensor) -> Array:
    """Return an output with padding, in the shape that has room for it.

    Raises:
        InputError: it has more entries than that, or another shape altogether.
    """
    fits = value.ndim == len(output.shape) and all(
        size <= most if axis in output.varying else size == most
        for axis, (size, most) in enumerate(zip(value.shape, output.shape, strict=True))
    )
    if not fits:
        raise InputError(
            f"Output '{output.name}' has another size than the model's own",
            expected=f"at most {list(output.shape)}",
            found=str(list(value.shape)),
        )
    found = np.full(output.shape, padding_of(value.dtype), holding(value.dtype))
    found[tuple(slice(size) for size in value.shape)] = value
    return found


def sizes_of(rows: Array, output: Tensor) -> list[tuple[int, ...]]:
    """Return the sizes of an output's varying dimensions in each record.

    Args:
        rows: (records, `output.size`), with padding.
    """
    entries = ~_is_padding(rows, output).reshape(len(rows), *output.shape)
    found = []
    for one in entries:
        others = (tuple(at for at in range(one.ndim) if at != axis) for axis in output.varying)
        found.append(tuple(int(one.any(axis=some).sum()) for some in others))
    return found


def _is_padding(rows: Array, output: Tensor) -> NDArray[np.bool_]:
    if not is_whole(output.dtype):
        return np.isnan(rows.astype(np.float64))
    with np.errstate(invalid="ignore"):
        return np.asarray(rows.astype(np.float64) == float(padding_of(output.dtype)))


def alike(reference: Array, rows: Array, output: Tensor) -> NDArray[np.bool_]:
    """Return in which records an output has the sizes of the reference, (records,)."""
    pairs = zip(sizes_of(reference, output), sizes_of(rows, output), strict=True)
    return np.array([one == other for one, other in pairs], bool)


def in_order(reference: Array, rows: Array, outputs: Sequence[Tensor]) -> Array:
    """Return rows with the entries of sets, and of lines without a defined order, in the order of the reference.

    Args:
        reference: rows of the same records, (records, numbers).
        outputs: the outputs that lie side by side in the rows.
    """
    sets = [(part, one) for one, part in parts_of(outputs) if one.varying == (0,)]
    lines = [(part, one) for one, part in parts_of(outputs) if one.lines and not one.varying]
    if not (sets or lines) or reference.shape != rows.shape:
        return rows
    found = rows.copy()
    for call in {one.lines[0] for _, one in lines if one.lines}:
        together = [(part, one) for part, one in lines if one.lines and one.lines[0] == call]
        for (part, _), moved in zip(together, _lines_in_order(reference, rows, together), strict=True):
            found[:, part] = moved
    for record in range(len(rows)):
        for together in _of_one_length(reference[record], rows[record], sets):
            entries = [(part, _entries(found[record, part], one)) for part, one in together]
            wanted = [_entries(reference[record, part], one) for part, one in together]
            order = _nearest(wanted, [some for _, some in entries])
            for part, some in entries:
                found[record, part] = some[order].reshape(-1)
    return found


def _lines_in_order(reference: Array, rows: Array, together: Sequence[tuple[slice, Tensor]]) -> Iterator[Array]:
    """Yield the results of one call with each line in the order of the reference: by rank of the values, which come
    first, or as a set where only their places are an output.
    """
    wanted, found = ([_as_lines(some[:, part], one) for part, one in together] for some in (reference, rows))
    if len(together) == 1 and is_whole(together[0][1].dtype):
        order, own = _paired(wanted[0], found[0])
    else:
        order, own = (np.argsort(some[0], -1, kind="stable") for some in (wanted, found))
    for (_, one), values in zip(together, found, strict=True):
        moved = np.empty_like(values)
        np.put_along_axis(moved, order, np.take_along_axis(values, own, -1), -1)
        assert one.lines is not None
        yield np.moveaxis(moved, -1, one.lines[1] + 1).reshape(len(rows), -1)


def _paired(wanted: Array, found: Array) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
    """Return the places of the entries of each line, (..., entries), on both sides: equal ones in pairs, then the
    others by rank.
    """
    order, own = (np.empty(wanted.shape, np.intp) for _ in range(2))
    for line in np.ndindex(wanted.shape[:-1]):
        _, here, there = np.intersect1d(wanted[line], found[line], return_indices=True)
        order[line], own[line] = _then_others(wanted[line], here), _then_others(found[line], there)
    return order, own


def _then_others(entries: Array, first: NDArray[np.integer]) -> NDArray[np.integer]:
    others = np.setdiff1d(np.arange(len(entries)), first)
    return np.concatenate([first, others[np.argsort(entries[others], kind="stable")]])


def _as_lines(rows: Array, one: Tensor) -> Array:
    """Return an output with its lines along the last axis."""
    assert one.lines is not None
    return np.moveaxis(rows.reshape(len(rows), *one.shape), one.lines[1] + 1, -1)


def _of_one_length(
    reference: Array, row: Array, sets: Sequence[tuple[slice, Tensor]]
) -> list[list[tuple[slice, Tensor]]]:
    """Return the outputs of a record by their length, of those that have the length of the reference."""
    found: dict[int, list[tuple[slice, Tensor]]] = {}
    for part, one in sets:
        length, other = (sizes_of(some[part][np.newaxis], one)[0][0] for some in (reference, row))
        if length == other and 1 < length <= MOST_ENTRIES:
            found.setdefault(length * 10_000 + one.shape[0], []).append((part, one))
    return list(found.values())


def _entries(numbers: Array, one: Tensor) -> Array:
    return numbers.reshape(one.shape[0], -1)


def _nearest(wanted: Sequence[Array], found: Sequence[Array]) -> NDArray[np.integer]:
    """Return the place of the entry that is nearest to each wanted one, each place once."""
    left, right = (_comparable(some, wanted) for some in (wanted, found))
    order = np.arange(len(left))
    free = np.ones(len(left), bool)
    for place, one in enumerate(left):
        distance = np.where(free, np.abs(right - one).max(axis=1), np.inf)
        best = place if free[place] and distance[place] <= distance.min() else int(distance.argmin())
        order[place], free[best] = best, False
    return order


def _comparable(entries: Sequence[Array], scales: Sequence[Array]) -> NDArray[np.float64]:
    """Return entries side by side, each output on the scale of its largest number; padding is far from everything."""
    wide = []
    for one, scale in zip(entries, scales, strict=True):
        numbers, known = one.astype(np.float64), np.nan_to_num(np.abs(scale.astype(np.float64)), nan=0.0, posinf=0.0)
        largest = np.where(known < 1e18, known, 0.0).max(initial=0.0) or 1.0
        wide.append(np.nan_to_num(numbers / largest, nan=1e6, posinf=1e5, neginf=-1e5))
    return np.concatenate(wide, axis=1)
