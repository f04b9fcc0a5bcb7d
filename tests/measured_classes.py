"""Numbers and classes measured all at once, with the functions that everything else uses."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from assay.numerics.classification.measured import Float64, Labels
from assay.numerics.classification.measuring import ClassAccumulator
from assay.numerics.numbers import Measured


def measure_classes(reference: Float64, candidate: NDArray[np.floating], labels: Labels | None = None) -> Measured:
    accumulator = ClassAccumulator()
    accumulator.add(reference, candidate, labels)
    return accumulator.result()
