"""The whole numbers that a model takes, found by trying: an embedding, a gather or a list of lengths limits them.

One input at a time is given larger and larger numbers while the others stay as they were, and then negative ones.
Numbers are not drawn if the model refuses them, if they turn a number into NaN, give another shape (the input was a
size) or take much longer (it was a count). The largest accepted number is found to a 64th of itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.errors import InputError
from assay.numerics.values import is_whole

Array = NDArray[np.generic]
Outputs = Mapping[str, Array]
Attempt = Callable[[Mapping[str, Array]], Outputs]
"""Turns inputs of one call by name into outputs by name; raises InputError where the model does not take them."""

LADDER = tuple(2**power - 1 for power in (2, 3, 5, 7, 8, 10, 13, 16, 20, 24, 26, 31))
MOST = {1: 2**8 - 1, 2: 2**15 - 1, 4: 2**26 - 1, 8: 2**31 - 1}
"""The largest number by the bytes of its type: small enough to be multiplied by small numbers and, in eight bytes, to
be squared.
"""
MOST_PLACES = 2**18
"""The most places of an embedding or a list of words; a model that refuses only larger numbers does not choose among
places.
"""
FINENESS = 64
SLOWER, SLOW_SECONDS = 20, 1.0
STARTS = ((0, 1), (1, 1), (0, 0))
"""The ranges tried first: 0 and 1, and where a model refuses one of them (such as a length of 0), the other."""


@dataclass(frozen=True)
class Range:
    """The whole numbers that are drawn for an input, or all numbers between two of floating point where the user says
    so, or texts.

    Attributes:
        some: whether the first number along the last dimension is never zero, as of a mask that leaves something.
        words: texts for each place along the last dimension, or in one group for all of them; empty for numbers.
        least, most: limits in ordinary records, inclusive.
        far_least, far_most: limits in records at the edges.
        why: reason why the search stopped, or "".
    """

    least: float = 0
    most: float = 1
    far_least: float = 0
    far_most: float = 1
    why: str = ""
    words: tuple[tuple[str, ...], ...] = ()
    some: bool = False

    def kept(self, numbers: Array) -> Array:
        """Return drawn numbers, changed in place where all of them may be zero and must not."""
        if self.some and numbers.ndim:
            numbers[..., 0] = self.most
        return numbers

    def __str__(self) -> str:
        if self.words:
            return f"{len(set().union(*self.words))} texts that its file knows"
        whole = "whole numbers" if isinstance(self.least, int) and isinstance(self.most, int) else "numbers"
        return f"{whole} {self.least} to {self.most}" if self.most > self.least else f"the number {self.least}"


def said_range(least: float, most: float) -> Range:
    """Return the range that a user gives: nothing is drawn beyond it, at the edges neither."""
    return Range(least, most, least, most)


def drawn_texts(words: Sequence[Sequence[str]], shape: Sequence[int], random: np.random.Generator) -> Array:
    """Draw texts: from the group of each place along the last dimension, or from all where there is no such group."""
    found = random.choice(sorted(set().union(*words)), tuple(shape))
    if shape and len(words) == shape[-1]:
        for place, group in enumerate(words):
            found[..., place] = random.choice(list(group), tuple(shape)[:-1])
    return np.asarray(found)


def drawn(dtype: str, shape: Sequence[int], least: float, most: float, random: np.random.Generator) -> Array:
    """Draw numbers or bools of a type, uniformly and including both ends; a single whole number is the end further
    out.
    """
    if not is_whole(dtype):
        return random.uniform(least, most, tuple(shape)).astype(dtype)
    least, most = int(least), int(most)
    found = random.integers(least, most, tuple(shape), np.int64, endpoint=True)
    if found.size == 1:
        found[...] = most if most >= -least else least
    elif found.size:
        found.flat[0], found.flat[-1] = least, most
    return found.astype(dtype)


@dataclass(frozen=True)
class Taken:
    """A call that a model takes.

    Attributes:
        inputs, outputs: its inputs and outputs, by name.
        ends: the least and largest of its whole numbers.
        seconds: time that it took.
    """

    inputs: Mapping[str, Array]
    outputs: Outputs
    ends: tuple[int, int]
    seconds: float


def first_taken(base: Mapping[str, Array], attempt: Attempt, said: Collection[str] = ()) -> Taken:
    """Find the first call that a model takes: of 0 and 1, or of 1 or 0 alone, where inputs are whole numbers.

    Args:
        base: inputs of one call by name; those with whole numbers are replaced.
        said: names of inputs whose numbers the user gave, and which stay.

    Raises:
        InputError: the model takes none of them; the error is that of the first.
    """
    failure: InputError | None = None
    numbered = _numbered(base, said)
    for ends in STARTS if numbered else STARTS[:1]:
        inputs = {**base, **{name: _with(base[name], *ends) for name in numbered}}
        begun = time.perf_counter()
        try:
            outputs = attempt(inputs)
        except InputError as error:
            failure = failure or error
        else:
            return Taken(inputs, outputs, ends, time.perf_counter() - begun)
    assert failure is not None
    raise failure


def ranges_of(
    taken: Taken, attempt: Attempt, limit: int | None = None, said: Mapping[str, Range] = MappingProxyType({})
) -> dict[str, Range]:
    """Find the range of every input with whole numbers.

    Args:
        said: ranges that the user gave, by input: these are not tried.
        limit: number of places of an index that is silently cut off at its limit; None where there is none.
    """
    found = {name: _range(_Trying(taken, attempt), name, limit) for name in _numbered(taken.inputs, said)}
    return {**said, **found}


def told_of_ranges(ranges: Mapping[str, Range], said: Collection[str]) -> list[str]:
    """Say which whole numbers are drawn, and how to give the right ones; nothing of bytes, which have one range.

    Args:
        ranges: the ranges of all drawn numbers, by input.
        said: the inputs among them whose numbers were known, and not found by trying.
    """
    tried = {name: one for name, one in ranges.items() if name not in said and (one.most <= 1 or one.why)}
    if not tried:
        return []
    drawn_from = ", ".join(f"'{name}' from {one.least} to {one.most} ({_why(one)})" for name, one in tried.items())
    unsure = next((name for name, one in tried.items() if one.most <= 1), next(iter(tried)))
    return [
        f"Whole numbers are drawn by trying what the model takes: {drawn_from}. Give the real numbers with "
        f"--range {unsure}=LEAST:MOST, or real inputs with --inputs."
    ]


def _why(one: Range) -> str:
    if not one.why:
        return "the model takes any"
    return f"{one.why} more" if one.most == one.far_most else f"{one.why} numbers beyond {one.far_most}"


def _numbered(inputs: Mapping[str, Array], said: Collection[str]) -> list[str]:
    whole = [name for name, array in inputs.items() if is_whole(array.dtype) and array.dtype != np.bool_]
    return [name for name in whole if name not in said]


def _with(array: Array, least: int, most: int) -> Array:
    return drawn(array.dtype.name, array.shape, least, most, np.random.default_rng(0))


@dataclass(frozen=True)
class _Trying:
    taken: Taken
    attempt: Attempt

    def refuses(self, name: str, least: int, most: int) -> str:
        """Return why such numbers are not drawn for an input, or ""."""
        inputs = {**self.taken.inputs, name: _with(self.taken.inputs[name], least, most)}
        begun = time.perf_counter()
        try:
            outputs = self.attempt(inputs)
        except InputError:
            return "the model refuses"
        for key, value in outputs.items():
            before = self.taken.outputs[key]
            if before.shape != value.shape:
                return "the shape of an output depends on"
            if not is_whole(value.dtype) and np.isfinite(_wide(before)).all() and not np.isfinite(_wide(value)).all():
                return "the model gives NaN for"
        too_slow = time.perf_counter() - begun > max(SLOWER * self.taken.seconds, SLOW_SECONDS)
        return "the model takes much longer for" if too_slow else ""


def _wide(values: Array) -> NDArray[np.float64]:
    with np.errstate(over="ignore", invalid="ignore"):
        return values.astype(np.float64)


def _range(trying: _Trying, name: str, limit: int | None) -> Range:
    start = trying.taken.ends
    dtype: np.dtype[Any] = trying.taken.inputs[name].dtype
    top = min(MOST[dtype.itemsize], int(np.iinfo(dtype).max), *([] if limit is None else [max(limit - 1, 1)]))
    most, why = start[1], ""
    for step in _ladder(start[1], top):
        why = trying.refuses(name, start[0], step)
        if why:
            most = _between(trying, name, start[0], (most, step))
            break
        most = step
    if limit is not None and not why and most == top:
        why = "there are no places for"
    far_least = next((low for low in _below(dtype, most) if not trying.refuses(name, low, most)), start[0])
    is_place = bool(why) and most < MOST_PLACES and why in {"the model refuses", "there are no places for"}
    is_byte = dtype.itemsize == 1 and not why
    least = far_least if is_byte else start[0]
    return Range(least, most if is_place or is_byte else start[1], far_least, most, why)


def _ladder(start: int, top: int) -> Iterator[int]:
    yield from (step for step in LADDER if start < step < top)
    if top > start:
        yield top


def _below(dtype: np.dtype[Any], most: int) -> Iterator[int]:
    if dtype.kind == "i":
        yield max(-most - 1, int(np.iinfo(dtype).min))


def _between(trying: _Trying, name: str, least: int, ends: tuple[int, int]) -> int:
    """Find the largest accepted number, between one that is accepted and one that is not."""
    taken, refused = ends
    while refused - taken > max(taken // FINENESS, 1):
        middle = (taken + refused) // 2
        taken, refused = (taken, middle) if trying.refuses(name, least, middle) else (middle, refused)
    return taken
