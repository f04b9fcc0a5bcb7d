"""Numbers and classes measured together, piece by piece."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from assay.numerics.classification.measured import ClassCounts, Float64, Labels
from assay.numerics.numbers import Accumulator, Measured


class ClassAccumulator:
    """Like `assay.numerics.numbers.Accumulator`, but also measures the classes that the same logits predict."""

    def __init__(self) -> None:
        self._numbers, self._classes = Accumulator(), ClassCounts()

    def add(self, reference: Float64, candidate: NDArray[np.floating], labels: Labels | None = None) -> None:
        """Take in one chunk; arguments and errors are those of both accumulators."""
        rows = self._numbers.add(reference, candidate)
        self._classes.add(reference, candidate, rows, labels)

    def result(self) -> Measured:
        """Return the measures over all chunks together."""
        return self._numbers.result().model_copy(update={"classes": self._classes.result()})
