"""Entries that scores select, as non-maximum suppression selects boxes: an output of them is right as a whole.

Runs that are both right may select others where a score, or an overlap, is as near to its limit as rounding moves it.
An output is one of a correct run if each of its entries is a candidate's, every candidate at most once, and all are
there that every correct run selects.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Self

import numpy as np
from numpy.typing import NDArray

from assay.numerics.ties.deciding import Array, Deciding, Float64, Mask, Places, Unfollowed
from assay.numerics.values import is_whole, of_type, padding_of

SELECTS = "may select "
FIELDS = {
    "always": "always selects ", "sometimes": "sometimes selects ", "near": "near a limit, selects ",
    "why": "why a limit, selects ", "tolerance": "to within, selects ", "operator": "by operator, selects ",
}  # fmt: skip
"""The names of the arrays of a file beside the candidates themselves."""
AGAIN = 2
"""A number may be so many tolerances from a candidate's: its own error, and that of the candidate."""


class AtLimit(IntEnum):
    """The things that can be so near to a limit that only some correct runs select a candidate."""

    NONE = 0
    SCORE = 1
    OVERLAP = 2
    ORDER = 3
    COUNT = 4
    OTHER = 5
    MASK = 6


IN_WORDS = {
    AtLimit.SCORE: "a score is {near} from the least that is kept",
    AtLimit.OVERLAP: "an overlap is {near} from the most that is kept",
    AtLimit.ORDER: "scores of two boxes that overlap are {near} apart",
    AtLimit.COUNT: "scores at the last place that is kept are {near} apart",
    AtLimit.OTHER: "another entry that is at a limit decides",
    AtLimit.MASK: "a score is at its threshold",
}


@dataclass(frozen=True)
class Selected(Deciding):
    """The entries that an output may have along its first dimension.

    Attributes:
        values: the candidates, (records, candidates, numbers of an entry), in the output's own type.
        always, sometimes: which candidates every correct run selects, and which some do, (records, candidates); what a
            record with fewer candidates has besides, none does.
        near: how far what decides is from its limit, in the same shape, where only some runs select a candidate; NaN
            where that is not known.
        why: the thing that is near a limit there, as `AtLimit` has it.
        tolerance: how far a number of a candidate may be from float64.
        operator: the operator of ONNX that selects.
    """

    values: Array
    always: Mask
    sometimes: Mask
    near: Float64
    why: NDArray[np.uint8]
    tolerance: float
    operator: str

    @property
    def records(self) -> int:
        return len(self.values)

    def decides(self, numbers: Array) -> bool:
        """Return whether every row, (records, numbers), is one of a correct run."""
        return all(self._matched(one, record) is not None for record, one in enumerate(numbers))

    def beside(self, expected: Array, found: Array, places: Places | None = None) -> Array:
        """Return rows with the entries of the expected ones, in their places, where both are of a correct run: with the
        found numbers where the found row has the entry, and the expected ones where it need not have it.

        Args:
            expected: rows (records, numbers), with padding where there is room for more entries.
            found: rows, which may have another length where all are of one record.
            places: see `Deciding.excuses`.
        """
        known = np.arange(len(expected)) if places is None else places
        rows = [self._beside(one, other, int(at)) for one, other, at in zip(expected, found, known, strict=True)]
        return np.stack(rows) if len({one.shape for one in rows}) == 1 else found

    def refutes(self, expected: Array, found: Array, places: Places | None = None) -> Mask:
        known = np.arange(len(expected)) if places is None else places
        pairs = [self._both(one, other, int(at)) for one, other, at in zip(expected, found, known, strict=True)]
        return np.array([ours is not None and theirs is None for ours, theirs in pairs], bool)

    def margin(self, expected: Array, found: Array, places: Places | None = None) -> str:
        known = np.arange(len(expected)) if places is None else places
        counted, alone = 0, list[tuple[float, AtLimit]]()
        for one, other, at in zip(expected, found, known, strict=True):
            ours, theirs = self._both(one, other, int(at))
            if ours is None or theirs is None:
                continue
            counted += max(len(ours), len(theirs))
            alone += [self._limit(int(at), place) for place in sorted({*ours} ^ {*theirs})]
        if not alone:
            return ""
        near, why = max(alone, key=lambda one: (np.nan_to_num(one[0], nan=-1.0), one[1] != AtLimit.OTHER))
        since = IN_WORDS[why].format(near=f"{near:.2g}")
        if len(alone) == 1:
            return f"1 of {counted} entries is on one side only: {since}"
        return f"{len(alone)} of {counted} entries are on one side only; where that is furthest from a limit, {since}"

    def are_at_a_limit(self, entries: Array, record: int) -> Mask:
        if record >= self.records or entries.shape[1] != self.values.shape[2]:
            return np.zeros(len(entries), bool)
        some = self.sometimes[record] & ~self.always[record]
        return np.asarray(self._same(entries, record)[:, some].any(axis=1))

    def beyond(self) -> Deciding:
        return Unfollowed(self.operator)

    def widened(self) -> Deciding:
        """Return that nothing is known: the candidates of runs in reduced precision are not followed."""
        return Unfollowed(self.operator)

    def joined(self, others: Sequence[Self]) -> Self | None:
        every = [self, *others]
        if len({(one.values.shape[2], one.values.dtype, one.operator) for one in every}) > 1:
            return None
        most = max(one.values.shape[1] for one in every)
        fields = {
            name: np.concatenate([_with_room(getattr(one, name), most) for one in every])
            for name in ("values", "always", "sometimes", "near", "why")
        }
        return type(self)(**fields, tolerance=max(one.tolerance for one in every), operator=self.operator)

    def arrays(self, output: str) -> dict[str, Array]:
        found: dict[str, Array] = {SELECTS + output: self.values}
        for name, prefix in FIELDS.items():
            value = getattr(self, name)
            as_bytes = np.frombuffer(value.encode(), np.uint8) if isinstance(value, str) else np.asarray(value)
            found[prefix + output] = as_bytes
        return found

    @classmethod
    def read(cls, output: str, arrays: Mapping[str, Array]) -> Self:
        """Return what `arrays` wrote."""
        fields = {name: arrays[prefix + output] for name, prefix in FIELDS.items()}
        return cls(
            values=arrays[SELECTS + output],
            always=of_type(fields["always"], np.bool_),
            sometimes=of_type(fields["sometimes"], np.bool_),
            near=of_type(fields["near"], np.float64),
            why=of_type(fields["why"], np.uint8),
            tolerance=float(of_type(fields["tolerance"], np.float64)),
            operator=fields["operator"].tobytes().decode(),
        )

    def _limit(self, record: int, place: int) -> tuple[float, AtLimit]:
        return float(self.near[record, place]), AtLimit(int(self.why[record, place]))

    def _beside(self, expected: Array, found: Array, record: int) -> Array:
        ours, theirs = self._both(expected, found, record)
        if ours is None or theirs is None:
            return found
        row = expected.astype(np.result_type(expected, found))
        entries, others = row.reshape(-1, self.values.shape[2]), self._entries(found)
        at = {candidate: place for place, candidate in enumerate(theirs)}
        for place, candidate in zip(np.flatnonzero(self._are_entries(expected)), ours, strict=True):
            if candidate in at:
                entries[place] = others[at[candidate]]
        return row

    def _both(self, expected: Array, found: Array, record: int) -> tuple[list[int] | None, list[int] | None]:
        """Return the candidate of each entry of both rows; see `_matched`."""
        if record >= self.records:
            return None, None
        return self._matched(expected, record), self._matched(found, record)

    def _matched(self, row: Array, record: int) -> list[int] | None:
        """Return the candidate of each entry, each once; None where the row is not of a correct run.

        Candidates that every run selects get an entry first, then the other entries a candidate, by paths along which
        everything that has a partner keeps one; so all have one, if that is possible at all (Mendelsohn & Dulmage 1958,
        "Some generalizations of the problem of distinct representatives").
        """
        if row.size % self.values.shape[2]:
            return None
        same = self._same(self._entries(row), record)
        places = [np.flatnonzero(one).tolist() for one in same]
        always: list[int] = np.flatnonzero(self.always[record]).tolist()
        entries = {place: np.flatnonzero(same[:, place]).tolist() for place in always}
        of_entry, of_candidate = dict[int, int](), dict[int, int]()
        for place in entries:
            if not _augment(place, entries.__getitem__, of_candidate, of_entry):
                return None
        for entry in range(len(places)):
            if entry not in of_entry and not _augment(entry, places.__getitem__, of_entry, of_candidate):
                return None
        return [of_entry[entry] for entry in range(len(places))]

    def _same(self, entries: Array, record: int) -> Mask:
        """Return which candidates have the numbers of which entries, (entries, candidates)."""
        left, right = entries[:, None], self.values[record][None]
        same = left == right
        if not is_whole(self.values.dtype):
            with np.errstate(invalid="ignore"):
                apart = np.abs(left.astype(np.float64) - right.astype(np.float64))
            same = same | (apart <= AGAIN * self.tolerance)
        found: Mask = np.asarray(same.all(axis=2)) & self.sometimes[record]
        return found

    def _entries(self, row: Array) -> Array:
        return row.reshape(-1, self.values.shape[2])[self._are_entries(row)]

    def _are_entries(self, row: Array) -> Mask:
        """Return which places of a row have an entry, and not padding."""
        numbers = row.reshape(-1, self.values.shape[2])
        empty = numbers == padding_of(self.values.dtype) if is_whole(self.values.dtype) else np.isnan(numbers)
        return ~np.asarray(empty.all(axis=1))


def _augment(start: int, of: Callable[[int], Sequence[int]], mine: dict[int, int], theirs: dict[int, int]) -> bool:
    """Give a partner to one of a side, along a shortest path on which others of it change theirs.

    Args:
        of: returns the possible partners of one of the side.
        mine, theirs: partners so far, by each side.
    """
    came_from, waiting = dict[int, int](), [start]
    for one in waiting:
        for partner in of(one):
            if partner in came_from:
                continue
            came_from[partner] = one
            if partner in theirs:
                waiting.append(theirs[partner])
                continue
            last: int | None = partner
            while last is not None:
                holder = came_from[last]
                before = mine.get(holder)
                mine[holder], theirs[last] = last, holder
                last = before if holder != start else None
            return True
    return False


def _with_room(array: Array, most: int) -> Array:
    """Return an array of (records, candidates, ...) with room for so many candidates."""
    return np.pad(array, [(0, 0), (0, most - array.shape[1]), *[(0, 0)] * (array.ndim - 2)])
