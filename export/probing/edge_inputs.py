"""Inputs at the edges of a model's input, where softplus, log, sigmoid or a shift of a negative number go wrong.

They come in tiers, each further out than the one before: numbers up to 3, 30 and 100, with zeros and tiny ones among
them, of both signs and of one, and whole numbers of every size up to the largest that the model takes. Nothing is
compared unless the model itself stays within rounding of float64, so a tier may go beyond what it can take.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assay.export.pairs.pair_inputs import OnnxValue
from assay.export.probing.drawn_ranges import Range, drawn, drawn_texts, said_range
from assay.numerics.values import is_whole

Array = NDArray[np.generic]

TINY = 2.0**-60
"""The tiny number among the inputs: its square is still a normal number in fp32."""
EVERYTHING = said_range(-math.inf, math.inf)
KINDS = ("zero", "end", "tiny", "between")
SHARES = (0.15, 0.2, 0.1, 0.55)


@dataclass(frozen=True)
class Tier:
    """How far out the numbers of a tier go."""

    reach: float
    whole: int


TIERS = (Tier(3.0, 2**7 - 1), Tier(30.0, 2**20 - 1), Tier(100.0, 2**31 - 1))


def draw_edges(
    values: Sequence[OnnxValue], ranges: Mapping[str, Range], tier: Tier, random: np.random.Generator, *, signed: bool
) -> dict[str, Array]:
    """Draw inputs of these shapes, all of whose dimensions are numbers.

    Args:
        signed: whether floating-point numbers have both signs; else none is negative.
    """
    found = {}
    for value in values:
        shape = tuple(int(size) for size in value.shape or ())
        if words := ranges.get(value.name, EVERYTHING).words:
            found[value.name] = drawn_texts(words, shape, random).astype(value.dtype)
        elif value.dtype == "bool":
            found[value.name] = drawn("bool", shape, 0, 1, random)
        elif is_whole(value.dtype):
            found[value.name] = _whole(value.dtype, shape, ranges.get(value.name, Range()), tier, random)
        else:
            numbers = _floating(shape, tier.reach, random)
            known = ranges.get(value.name, EVERYTHING)  # given by the user
            kept = np.clip(numbers if signed else np.abs(numbers), known.least, known.most)
            found[value.name] = kept.astype(value.dtype)
    return found


def zeros(values: Sequence[OnnxValue], ranges: Mapping[str, Range]) -> dict[str, Array]:
    """Return inputs of zeros; where a model takes no zero, of its number closest to zero."""
    found = {}
    for value in values:
        known = ranges.get(value.name, EVERYTHING)
        if known.words:
            found[value.name] = np.full([int(size) for size in value.shape or ()], known.words[0][0], value.dtype)
            continue
        least = min(max(0, known.least), max(known.far_most, known.most))
        found[value.name] = known.kept(np.full([int(size) for size in value.shape or ()], least, value.dtype))
    return found


def _floating(shape: tuple[int, ...], reach: float, random: np.random.Generator) -> NDArray[np.float64]:
    kind = random.choice(len(KINDS), shape, p=SHARES)
    sign = np.where(random.random(shape) < 0.5, -1.0, 1.0)
    sizes = [np.zeros(shape), np.full(shape, reach), np.full(shape, TINY), random.random(shape) * reach]
    found: NDArray[np.float64] = sign * np.choose(kind, sizes)
    return found


def _whole(dtype: str, shape: tuple[int, ...], one: Range, tier: Tier, random: np.random.Generator) -> Array:
    """Draw whole numbers of all sizes equally: as many between 8 and 16 as between 8,000 and 16,000."""
    least, most = max(one.far_least, -tier.whole - 1), min(one.far_most, tier.whole)
    sizes = np.floor(np.exp2(random.random(shape) * np.log2(float(most) + 1.0)))
    signs = np.where(random.random(shape) < 0.5, -1, 1) if least < 0 else 1
    found = np.clip(np.asarray(signs * sizes, np.int64), least, most)
    if found.size > 1:
        found.flat[0], found.flat[-1] = least, most
    return one.kept(found.astype(dtype))
