"""How far one model's outputs are from a reference's, measured piece by piece in bounded memory.

`Accumulator` takes the outputs in chunks of any size and gives one `Measured`; the chunks leave no trace in it beyond
the rounding of sums. All measures are against the reference, never between two candidates.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.special import log_softmax

from assay.errors import InputError
from assay.numerics.classification.significance import Accuracy, CalibrationBins, CalibrationShift, compare_accuracy
from assay.numerics.values import Differences
from assay.records.base import Record

Float64 = NDArray[np.float64]
Labels = NDArray[np.int64]

SIGNIFICAND_BITS = {"fp32": 24, "TF32 or fp16": 11, "bf16": 8}
"""Bits of significand, the implicit one included (IEEE 754-2019; TF32 has fp16's significand and fp32's exponent)."""
LEAST_NAMED_BITS = 5.0
MOST_BITS_CREDITED = 1.0
"""What fp32 loses to its sums beyond this, arithmetic with short factors and fp32 sums does not lose."""
MOST_BITS = 53.0
"""What a result has that equals its float64 reference."""
ROUNDED_ONCE = 1 / math.sqrt(4.5 / math.log(2))
"""Relative root-mean-square error of rounding to p bits, in units of 2^-p, see `effective_bits`."""
FLIPS_LISTED = 1000


class Flip(Record):
    """An image whose predicted class is not the reference's.

    Attributes:
        image: its place in the set of inputs.
        label: its true class, None where there is none.
        reference_margin: the reference's largest logit less its second largest.
        candidate_margin: the candidate's, likewise.
    """

    image: int
    label: int | None
    reference_class: int
    candidate_class: int
    reference_margin: float
    candidate_margin: float


class Measured(Record):
    """One candidate against the reference on one set of inputs.

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
        min_cosine: least cosine between an image's logits and the reference's.
        max_total_variation, mean_total_variation: half the sum of |p - q| over the classes' probabilities.
        max_divergence: largest Kullback-Leibler divergence of the candidate's probabilities from the reference's, nats.
        top1_agreement: share of images with the reference's class.
        flips: the images without, at most the first 1000 of `flip_count`.
        flipped_margin: how sure the reference is of the flipped image that it is surest of, listed or not; 0 for none.
        accuracy, calibration: where the images have labels.
        lost: values that are infinite or NaN in the reference and something else here.
        values, differing, excused: of whole numbers, how many there are, are not equal, and are not equal where what
            decides them ties; `differing` is None for floating point, which is not counted.
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
    max_total_variation: float
    mean_total_variation: float
    max_divergence: float
    top1_agreement: float
    flip_count: int
    flips: list[Flip] = Field(default_factory=list)
    flipped_margin: float = 0.0
    accuracy: Accuracy | None = None
    calibration: CalibrationShift | None = None
    lost: int = 0
    values: int = 0
    differing: int | None = None
    excused: int = 0

    @property
    def differences(self) -> Differences | None:
        """Of whole numbers, what differs; None for floating point."""
        if self.differing is None:
            return None
        largest = math.inf if self.not_finite else self.max_absolute
        return Differences(self.values, self.differing, largest, self.excused)


@dataclass
class Accumulator:
    """Measures a candidate chunk by chunk; its memory depends on the classes and the flips listed, not on the images.

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
    max_variation: float = 0.0
    sum_variation: float = 0.0
    max_divergence: float = 0.0
    flip_count: int = 0
    flips: list[Flip] = field(default_factory=list)
    flipped_margin: float = 0.0
    labelled: int = 0
    reference_right: int = 0
    lost: int = 0
    gained: int = 0
    reference_bins: CalibrationBins = field(default_factory=CalibrationBins)
    candidate_bins: CalibrationBins = field(default_factory=CalibrationBins)

    def add(self, reference: Float64, candidate: NDArray[np.floating], labels: Labels | None = None) -> None:
        """Take in one chunk.

        Args:
            reference: float64 logits (images, classes), finite.
            candidate: logits of the same images, any floating type.
            labels: true classes (images,), where there are any.

        Raises:
            InputError: shapes differ, the reference is not float64 and finite, or only some chunks have labels.
        """
        _check(reference, candidate)
        first = self.images
        if (labels is not None) != (self.labelled > 0) and first > 0:
            raise InputError("Some chunks have labels and others have none", expected="all or none")
        self.images += len(reference)
        self.labelled += len(reference) if labels is not None else 0
        exact = candidate.astype(np.float64)
        finite = np.isfinite(exact)
        self.not_finite += int((~finite).sum())
        rows = finite.all(axis=1)
        places = first + np.flatnonzero(rows)
        self._add_rows(places, reference[rows], exact[rows], None if labels is None else labels[rows])

    def _add_rows(
        self, places: NDArray[np.intp], reference: Float64, candidate: Float64, labels: Labels | None
    ) -> None:
        if not len(places):
            return
        self.compared += len(places)
        error = np.abs(candidate - reference)
        self.scale = max(self.scale, float(np.abs(reference).max()))
        self.max_absolute = max(self.max_absolute, float(error.max()))
        self.square_error += float((error**2).sum())
        self.square_reference += float((reference**2).sum())
        self.stored_bits = max(self.stored_bits, stored_bits(candidate))
        self.min_cosine = min(self.min_cosine, float(cosines(reference, candidate).min()))
        variation, divergence = probability_distances(reference, candidate)
        self.max_variation = max(self.max_variation, float(variation.max()))
        self.sum_variation += float(variation.sum())
        self.max_divergence = max(self.max_divergence, float(divergence.max()))
        self._add_classes(places, reference, candidate, labels)

    def _add_classes(
        self, places: NDArray[np.intp], reference: Float64, candidate: Float64, labels: Labels | None
    ) -> None:
        expected, found = reference.argmax(axis=1), candidate.argmax(axis=1)
        flipped = np.flatnonzero(expected != found)
        self.flip_count += len(flipped)
        surest = max((margin(row) for row in reference[flipped]), default=0.0)
        self.flipped_margin = max(self.flipped_margin, surest)
        for row in flipped[: max(FLIPS_LISTED - len(self.flips), 0)]:
            self.flips.append(
                Flip(
                    image=int(places[row]),
                    label=None if labels is None else int(labels[row]),
                    reference_class=int(expected[row]),
                    candidate_class=int(found[row]),
                    reference_margin=margin(reference[row]),
                    candidate_margin=margin(candidate[row]),
                )
            )
        if labels is None:
            return
        before, after = expected == labels, found == labels
        self.reference_right += int(before.sum())
        self.lost += int((before & ~after).sum())
        self.gained += int((~before & after).sum())
        self.reference_bins.add(reference, labels)
        self.candidate_bins.add(candidate, labels)

    def result(self) -> Measured:
        """What all chunks together say."""
        relative = math.sqrt(self.square_error / self.square_reference) if self.square_reference else 0.0
        count = max(self.compared, 1)
        labelled = self.labelled > 0 and self.compared > 0
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
            max_total_variation=self.max_variation,
            mean_total_variation=self.sum_variation / count,
            max_divergence=self.max_divergence,
            top1_agreement=(self.compared - self.flip_count) / max(self.images, 1),
            flip_count=self.flip_count,
            flips=list(self.flips),
            flipped_margin=self.flipped_margin,
            accuracy=compare_accuracy(self.compared, self.reference_right, self.lost, self.gained)
            if labelled
            else None,
            calibration=CalibrationShift.of(self.reference_bins, self.candidate_bins) if labelled else None,
        )


def measure(reference: Float64, candidate: NDArray[np.floating], labels: Labels | None = None) -> Measured:
    """Measure all at once; see `Accumulator.add` for arguments and errors."""
    accumulator = Accumulator()
    accumulator.add(reference, candidate, labels)
    return accumulator.result()


def ulps(error: float, scale: float) -> float:
    """An absolute error in units in the last place of fp32 at a scale; 0 where there is no scale."""
    return error / float(np.spacing(np.float32(scale))) if scale else 0.0


def effective_bits(rms_relative: float) -> float:
    """How many bits of significand a result with this relative root-mean-square error really has.

    Rounding x = m 2^e (1 <= m < 2) to p bits leaves an error that is uniform within half a unit in the last place,
    2^(e-p), so that its mean square is 4^(e-p) / 3. Where m is distributed logarithmically (Benford's law; Hamming
    1970, "On the distribution of numbers"), the mean of m^2 is 1.5 / ln 2, and the relative root-mean-square error
    is 2^-p / sqrt(3 x 1.5 / ln 2). Solved for p: what was rounded once to p bits has p effective bits.
    """
    if rms_relative == 0:
        return MOST_BITS
    return min(max(math.log2(ROUNDED_ONCE / rms_relative), 0.0), MOST_BITS)


def stored_bits(values: Float64) -> int:
    """Significand bits without which some value would be another: 24 or fewer for anything that was a float32."""
    significand, _ = np.frexp(values)
    whole = np.abs(np.ldexp(significand, 53)).astype(np.int64)
    lowest = whole[whole > 0] & -whole[whole > 0]
    return 53 - int(np.log2(lowest.min())) if lowest.size else 0


def delivered_precision(bits: float, native_bits: float, stored: int = 53) -> str:
    """The arithmetic that a result comes from, by name: "fp32", "TF32 or fp16", "bf16", or "less than bf16".

    A model loses some bits of those it computes with; a correct fp32 run shows how many, of which one is credited. The
    nearest format is what was computed with. A result that was computed better and rounded at the end
    gives itself away by the bits that it is stored in. TF32 and fp16 have the same significand and cannot be told
    apart by their errors.

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
    """Cosine of the angle between rows, (images,); 1 where both are zero, 0 where one is."""
    lengths = np.linalg.norm(reference, axis=1) * np.linalg.norm(candidate, axis=1)
    both_zero = ~reference.any(axis=1) & ~candidate.any(axis=1)
    products = (reference * candidate).sum(axis=1)
    found: Float64 = np.divide(products, lengths, out=np.asarray(both_zero, np.float64), where=lengths > 0)
    return np.clip(found, -1, 1)


def probability_distances(reference: Float64, candidate: Float64) -> tuple[Float64, Float64]:
    """Total variation and Kullback-Leibler divergence (nats, from the reference's) of the softmax, each (images,)."""
    left, right = log_softmax(reference, axis=1), log_softmax(candidate, axis=1)
    variation = np.abs(np.exp(left) - np.exp(right)).sum(axis=1) / 2
    divergence = (np.exp(left) * (left - right)).sum(axis=1)
    return variation, np.maximum(divergence, 0)


def margin(logits: Float64) -> float:
    """Largest logit less the second largest; infinite for a single class has no meaning and is 0."""
    if len(logits) < 2:
        return 0.0
    second, first = np.sort(logits)[-2:]
    return float(first - second)


def _check(reference: Float64, candidate: NDArray[np.floating]) -> None:
    if reference.ndim != 2 or reference.dtype != np.float64 or not np.isfinite(reference).all():
        raise InputError(
            "The reference cannot be compared with",
            expected="finite float64 logits (images, classes)",
            found=f"{reference.dtype}, {reference.shape}",
        )
    if candidate.shape != reference.shape or not np.issubdtype(candidate.dtype, np.floating):
        raise InputError(
            "Outputs cannot be compared with the reference",
            expected=f"floating point of shape {reference.shape}",
            found=f"{candidate.dtype}, {candidate.shape}",
        )
