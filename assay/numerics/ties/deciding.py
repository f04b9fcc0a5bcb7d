"""The questions that every kind of deciding values answers, and the kinds that know no answer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

NOT_FOLLOWED, UNDEFINED = "not followed: ", "undefined: "

Array = NDArray[np.generic]
Float64 = NDArray[np.float64]
Mask = NDArray[np.bool_]
Places = NDArray[np.integer]


class Deciding(ABC):
    """The scores that decide the numbers of one output: a class for each way to know them.

    Attributes:
        leaves_open: whether nothing shows if a number that differs is wrong, since the values may tie.
    """

    leaves_open: ClassVar[bool] = False

    @property
    @abstractmethod
    def records(self) -> int:
        """The number of records whose deciding values are known, the first ones."""

    def excuses(self, expected: Array, found: Array, places: Places | None = None) -> Mask:
        """Return where a whole number that differs from the expected one is as good: nowhere, unless a kind tells.

        Args:
            expected: numbers (records, numbers).
            found: numbers of the same shape.
            places: (records,), the records that the rows belong to; None for the first ones. In records whose deciding
                values are not known, nothing is excused.

        Returns:
            (records, numbers).
        """
        del found, places
        return np.zeros(expected.shape, bool)

    def beside(self, expected: Array, found: Array, places: Places | None = None) -> Array:
        """Return the found numbers, none of which is further from the expected ones for a tie alone; arguments are
        those of `excuses`.
        """
        del expected, places
        return found

    def refutes(self, expected: Array, found: Array, places: Places | None = None) -> Mask:
        """Return which rows no correct run gives, (records,), where the expected ones are of a correct run: none,
        unless a kind tells. Arguments are those of `excuses`; found rows may have another length.
        """
        del found, places
        return np.zeros(len(expected), bool)

    def margin(self, expected: Array, found: Array, places: Places | None = None) -> str:
        """Say which entries of correct runs only one side has, and how near their limits are: "1 of 14 entries is on
        one side only: a score is 3e-08 from the least that is kept"; "" where all are on both, or none are known.
        """
        del expected, found, places
        return ""

    def are_at_a_limit(self, entries: Array, record: int) -> Mask:
        """Return which entries of a record, (entries, numbers), some correct runs have: none, unless a kind tells."""
        del record
        return np.zeros(len(entries), bool)

    def beyond(self) -> Deciding:
        """Return what is known of records whose deciding values are not."""
        return self

    @abstractmethod
    def decides(self, numbers: Array) -> bool:
        """Return whether these do decide numbers, (records, numbers), of a correct run."""

    @abstractmethod
    def widened(self) -> Deciding:
        """Return the same for runs in reduced precision: an index may differ where the values that it chooses from are
        as close as that precision leaves them, and whatever is rounded at all may be off by as much.
        """

    @abstractmethod
    def joined(self, others: Sequence[Self]) -> Self | None:
        """Return what decides the output in this call and in others of the same kind, one after the other; None where
        they do not fit together.
        """

    @abstractmethod
    def arrays(self, output: str) -> dict[str, Array]:
        """Return this as the arrays of a file, whose names say the kind and the output."""

    def told(self, differs: str) -> str:
        """Return in which numbers an output differs, with why nobody can say that it is wrong, if so."""
        return differs


@dataclass(frozen=True)
class Unfollowed(Deciding):
    """Scores that decide the whole numbers of one output through something that is not followed.

    Attributes:
        operator: the operator of ONNX at which following them ends.
    """

    operator: str
    leaves_open: ClassVar[bool] = True

    @property
    def records(self) -> int:
        return 0

    def decides(self, numbers: Array) -> bool:
        """Return true: whatever the numbers are, the scores decide them."""
        del numbers
        return True

    def widened(self) -> Self:
        return self

    def joined(self, others: Sequence[Self]) -> Self:
        del others
        return self

    def arrays(self, output: str) -> dict[str, Array]:
        return {NOT_FOLLOWED + output: np.frombuffer(self.operator.encode(), np.uint8)}

    def told(self, differs: str) -> str:
        return f"{differs}; scores decide them through {self.operator}, which is not followed, so they may tie"


@dataclass(frozen=True)
class Undefined(Unfollowed):
    """Numbers for which ONNX defines no result, so that every runtime may give another.

    Attributes:
        operator: the operator that gives them, and what it is given, in words: "Cast to int8 of numbers beyond it".
    """

    def arrays(self, output: str) -> dict[str, Array]:
        return {UNDEFINED + output: np.frombuffer(self.operator.encode(), np.uint8)}

    def told(self, differs: str) -> str:
        return f"{differs}; ONNX defines no result for {self.operator}: give inputs within it, or leave the output out"


def told_of_ties(differs: str, decider: Deciding | None) -> str:
    """Return in which numbers an output differs, in words, with why nobody can say that it is wrong, if so."""
    return decider.told(differs) if differs and decider else differs
