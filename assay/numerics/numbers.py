"""How far one model's outputs are from a reference's, measured piece by piece in bounded memory.

`Accumulator` takes the outputs in chunks of any size and gives one `Measured`; the chunks leave no trace in it beyond
the rounding of sums. All measures are against the reference, never between two candidates.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assay.errors import InputError
from assay.numerics.classification.measured import MeasuredClasses
from assay.records.base import Record

Float64 = NDArray[np.float64]
Labels = NDArray[np.int64]

SIGNIFICAND_BITS = {"fp32": 24, "TF32 or fp16": 11, "bf16": 8}
"""Bits of significand, the implicit one included (IEEE 754-2019; TF32 has fp16's significand and fp32's exponent)."""
LEAST_NAMED_BITS = 5.0
MOST_BITS_CREDITED = 1.0
"""The most bits by which a correct fp32 run excuses a result: beyond it, short factors with fp32 sums do not lose as
many.
"""
MOST_BITS = 53.0
"""The bits of a result that equals its float64 reference."""
ROUNDED_ONCE = 1 / math.sqrt(4.5 / math.log(2))
"""Relative root-mean-square error of rounding to p bits, in units of 2^-p; see `effective_bits`."""


class Measured(Record):
    """One candidate compared with the reference on one set of inputs.

    Attributes:
        images: rows compared; `not_finite` counts the candidate's values that are NaN or infinite, whose rows enter
            nothing else.
        scale: largest |reference|.
        max_absolute: largest |candidate - reference|; NaN-free, 0 where nothing could be compared.
        max_relative: the same over the scale.
        max_ulps: the same in units in the last place of fp32 at the scale.
        rms_relative: root-mean-square error over the root-mean-square of the reference.
        effective_bits: significand bits that the result really has, see `effective_bits`.
        stored_bits: significand bits that the candidate's values need to be written down, 0 for zeros alone.
        min_cosine: least cosine between an image's numbers and the reference's.
        classes: measures of the same numbers as classes; None where the model does not classify.
        lost: values that are infinite or NaN in the reference and something else here.
        values, differing, excused: counts of whole numbers: all, those not equal, and those not equal whose deciding
        values tie; `differing` is None for floating point, which is not counted.
        not_finite: number of the candidate's values that are NaN or infinite.
    """

    images: int
    not_finite: int
    scale: float
    max_absolute: float
    max_relative: float
    max_ulps: float
    rms_relative: float
    effective_bits: float
    stored_bits: int
    min_cosine: float
    classes: MeasuredClasses | None = None
    lost: int = 0
    values: int = 0
    differing: int | None = None
    excused: int = 0


@dataclass
class Accumulator:
    """Measures a candidate chunk by chunk; memory use does not depend on the number of images.

    Example:
        accumulator.add(reference[:100], candidate[:100]), then the rest, then accumulator.result().
    """

    images: int = 0
    compared: int = 0
    not_finite: int = 0
    scale: float = 0.0
    max_absolute: float = 0.0
    square_error: float = 0.0
    square_reference: float = 0.0
    stored_bits: int = 0
    min_cosine: float = 1.0

    def add(
        self, reference: Float64, candidate: NDArray[np.floating], labels: Labels | None = None
    ) -> NDArray[np.bool_]:
        """Take in one chunk.

        Args:
            reference: float64 (images, numbers), finite.
            candidate: outputs for the same images, of any floating type.
            labels: the right answers, which are not used for numbers alone.

        Returns:
            (images,), true for the images compared, where the candidate's numbers are finite.

        Raises:
            InputError: shapes differ, or the reference is not float64 and finite.
        """
        del labels
        _check(reference, candidate)
        self.images += len(reference)
        exact = candidate.astype(np.float64)
        finite = np.isfinite(exact)
        self.not_finite += int((~finite).sum())
        rows: NDArray[np.bool_] = np.asarray(finite.all(axis=1))
        self._add_rows(reference[rows], exact[rows])
        return rows

    def _add_rows(self, reference: Float64, candidate: Float64) -> None:
        if not len(reference):
            return
        self.compared += len(reference)
        error = np.abs(candidate - reference)
        self.scale = max(self.scale, float(np.abs(reference).max()))
        self.max_absolute = max(self.max_absolute, float(error.max()))
        self.square_error += float((error**2).sum())
        self.square_reference += float((reference**2).sum())
        self.stored_bits = max(self.stored_bits, stored_bits(candidate))
        self.min_cosine = min(self.min_cosine, float(cosines(reference, candidate).min()))

    def result(self) -> Measured:
        """Return the measures over all chunks together."""
        relative = math.sqrt(self.square_error / self.square_reference) if self.square_reference else 0.0
        return Measured(
            images=self.images,
            not_finite=self.not_finite,
            scale=self.scale,
            max_absolute=self.max_absolute,
            max_relative=self.max_absolute / self.scale if self.scale else 0.0,
            max_ulps=ulps(self.max_absolute, self.scale),
            rms_relative=relative,
            effective_bits=effective_bits(relative) if self.compared else 0.0,
            stored_bits=self.stored_bits,
            min_cosine=self.min_cosine if self.compared else 0.0,
        )


def measure(reference: Float64, candidate: NDArray[np.floating]) -> Measured:
    """Measure all outputs at once; see `Accumulator.add` for arguments and errors."""
    accumulator = Accumulator()
    accumulator.add(reference, candidate)
    return accumulator.result()


def ulps(error: float, scale: float) -> float:
    """Return an absolute error in units in the last place of fp32 at a scale; 0 where there is no scale."""
    return error / float(np.spacing(np.float32(scale))) if scale else 0.0


def effective_bits(rms_relative: float) -> float:
    """Return how many bits of significand a result with this relative root-mean-square error really has.

    Rounding x = m 2^e (1 <= m < 2) to p bits leaves an error that is uniform within half a unit in the last place,
    2^(e-p), so that its mean square is 4^(e-p) / 3. Where m is distributed logarithmically (Benford's law; Hamming
    1970, "On the distribution of numbers"), the mean of m^2 is 1.5 / ln 2, and the relative root-mean-square error
    is 2^-p / sqrt(3 x 1.5 / ln 2). Solved for p: a result that was rounded once to p bits has p effective bits.
    """
    if rms_relative == 0:
        return MOST_BITS
    return min(max(math.log2(ROUNDED_ONCE / rms_relative), 0.0), MOST_BITS)


def stored_bits(values: Float64) -> int:
    """Return the significand bits needed to store every value exactly: at most 24 for anything that was a float32."""
    significand, _ = np.frexp(values)
    whole = np.abs(np.ldexp(significand, 53)).astype(np.int64)
    lowest = whole[whole > 0] & -whole[whole > 0]
    return 53 - int(np.log2(lowest.min())) if lowest.size else 0


def delivered_precision(bits: float, native_bits: float, stored: int = 53) -> str:
    """Return the name of the arithmetic that a result shows: "fp32", "TF32 or fp16", "bf16", or "less than bf16".

    A model loses some of the bits that it computes with; a correct fp32 run shows how many, and at most one of them is
    credited. The nearest format is taken as the one computed in. A result that was computed more exactly and rounded at
    the end gives itself away by the bits that it is stored in. TF32 and fp16 have the same significand and cannot be
    distinguished by their errors.

    Args:
        bits: effective bits of the result.
        native_bits: effective bits of a correct fp32 run on the same inputs.
        stored: see `stored_bits`.
    """
    computed = bits + min(max(SIGNIFICAND_BITS["fp32"] - native_bits, 0.0), MOST_BITS_CREDITED)
    if computed < LEAST_NAMED_BITS:
        return "less than bf16"
    name = _nearest_format(computed)
    return name if name == "fp32" else _nearest_format(min(computed, stored))


def _nearest_format(bits: float) -> str:
    return min(SIGNIFICAND_BITS, key=lambda name: abs(SIGNIFICAND_BITS[name] - bits))


def cosines(reference: Float64, candidate: Float64) -> Float64:
    """Return the cosine of the angle between rows, (images,); 1 where both rows are zero, 0 where one is."""
    lengths = np.linalg.norm(reference, axis=1) * np.linalg.norm(candidate, axis=1)
    both_zero = ~reference.any(axis=1) & ~candidate.any(axis=1)
    products = (reference * candidate).sum(axis=1)
    found: Float64 = np.divide(products, lengths, out=np.asarray(both_zero, np.float64), where=lengths > 0)
    return np.clip(found, -1, 1)


def _check(reference: Float64, candidate: NDArray[np.floating]) -> None:
    if reference.ndim != 2 or reference.dtype != np.float64 or not np.isfinite(reference).all():
        raise InputError(
            "The reference cannot be compared with",
            expected="finite float64 (images, numbers)",
            found=f"{reference.dtype}, {reference.shape}",
        )
    if candidate.shape != reference.shape or not np.issubdtype(candidate.dtype, np.floating):
        raise InputError(
            "Outputs cannot be compared with the reference",
            expected=f"floating point of shape {reference.shape}",
            found=f"{candidate.dtype}, {candidate.shape}",
        )
