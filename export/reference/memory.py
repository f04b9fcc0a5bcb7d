"""The memory that the evaluation of a model may take, and what to do where that is too little."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from assay.boxed.platform import most_resident_bytes, resident_bytes
from assay.errors import InputError
from assay.files.arrays import most_bytes

SHARE = 0.4
"""The share of the free memory that may be used; the values of an evaluation are copied on their way, and other
programs run at the same time.
"""


class TooLargeError(InputError):
    """The request would need more memory than is available; with fewer rows it might not."""


def in_words(size: int) -> str:
    """Return bytes in GiB or MiB."""
    return f"{size / 2**30:,.1f} GiB" if size >= 2**30 else f"{size / 2**20:,.1f} MiB"


def in_float64(rows: int) -> int:
    """Return how many rows of a call fit in float64 where these fit in fp32."""
    return max(rows // 2, 1)


class Appetite:
    """The memory that a row of a model's calls takes, by the most that this process ever had."""

    def __init__(self) -> None:
        self._before = resident_bytes()

    def rows(self, called: int, most: int, at_most: int | None = None) -> int:
        """Return how many rows a call may have, at least one.

        Args:
            called: number of rows in the calls that were made since.
            most: largest number of rows.
            at_most: bytes that a call may take; a share of the free memory by default.
        """
        a_row = max(most_resident_bytes() - self._before, 0) / max(called, 1)
        limit = most_bytes(SHARE) if at_most is None else at_most
        return max(min(most, int(limit / a_row) if a_row else most), 1)


class FittingBatches:
    """Batch sizes from small to large for which memory holds a call; one that does not fit is made as large as fits."""

    def __init__(self, sizes: Sequence[int], at_most: int | None = None) -> None:
        self._sizes, self._at_most, self._fitting = tuple(sizes), at_most, list[int]()
        self._appetite = Appetite()

    def that_fit(self) -> Iterator[int]:
        """Iterate over the sizes that fit; the first time, each size is judged by the calls of the one before it."""
        if self._fitting:
            yield from self._fitting
            return
        for size in self._sizes:
            called = self.largest
            fits = size if not called else self._appetite.rows(called, size, self._at_most)
            if fits > called:
                self._fitting.append(fits)
                yield fits

    @property
    def largest(self) -> int:
        """The largest size so far; 0 before the first."""
        return self._fitting[-1] if self._fitting else 0
