"""Drawn cells of eight kinds: the data set that is always at hand, at any resolution.

Each picture is a stained cell among red cells: outline, nucleus, granules and colours are drawn from ranges that the
kinds share in part, and place, turn, size, stain, focus and noise vary in all of them, so that no single pixel reveals
a kind and a linear model fails where a convolutional network learns. A picture depends on seed, split and position
alone: a larger resolution shows the same cell, a limit leaves the others as they are. The same numpy on the same kind
of processor gives the same bytes; elsewhere a pixel may differ by one.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from assay.errors import DataError
from assay.train.datasets.data import DataRequest, Progress
from assay.train.datasets.drawing import Sketch, Values, paint, stack
from assay.train.datasets.sources import Pieces, Positions, Records, Source

COUNTS = {"train": 2000, "validation": 400, "test": 800}
NOTICE = "SYNTHETIC images: drawn by Assay, not photographed. Their accuracy says nothing about real cells."
VERSION = 1
LOBES, RED_CELLS, WAVES = 5, 6, 7
OUTSIDE = (9.0, 9.0, 0.1)
PIXELS_AT_ONCE = 1 << 17

Disc = tuple[float, float, float]
"""x, y and radius, in radii of the cell."""


def _round(random: Generator) -> list[Disc]:
    """Draw one large round nucleus."""
    return [(*random.uniform(-0.12, 0.12, 2), random.uniform(0.62, 0.84))]


def _small(random: Generator) -> list[Disc]:
    """Draw one small round nucleus, off the centre."""
    return [(*random.uniform(-0.3, 0.3, 2), random.uniform(0.4, 0.58))]


def _oval(random: Generator) -> list[Disc]:
    """Draw one long nucleus."""
    apart, radius = random.uniform(0.14, 0.3), random.uniform(0.44, 0.58)
    shift = random.uniform(-0.2, 0.2)
    return [(-apart, shift, radius), (apart, shift, radius), (0, shift, radius)]


def _two_lobes(random: Generator) -> list[Disc]:
    """Draw two round lobes side by side."""
    apart, shift = random.uniform(0.36, 0.48), random.uniform(-0.2, 0.2)
    first, second = random.uniform(0.3, 0.42, 2)
    return [(-apart, shift, first), (apart, shift, second)]


def _arc_of_lobes(random: Generator) -> list[Disc]:
    """Draw three to five small lobes along an arc."""
    count = int(random.integers(3, LOBES + 1))
    turns = np.linspace(0, random.uniform(3.2, 4.6), count) + random.uniform(-0.15, 0.15, count)
    reach = random.uniform(0.42, 0.54)
    return [
        (reach * np.cos(turn), reach * np.sin(turn), size)
        for turn, size in zip(turns, random.uniform(0.2, 0.3, count), strict=True)
    ]


def _none(random: Generator) -> list[Disc]:
    """Draw no nucleus."""
    return []


@dataclass(frozen=True)
class Kind:
    """The common features of the cells of one kind.

    Attributes:
        radius: smallest and largest radius of the cell; the picture is 2 wide.
        nucleus: draws the discs whose union is the nucleus.
        bite: radius of the notch in the nucleus, 0 for none.
        granules: their share of the colour where they are, 0 for none.
        grain: waves in one radius; more of them make finer granules.
        over_nucleus: whether granules hide the nucleus too.
        cytoplasm, granule: typical colours, red, green and blue from 0 to 1.
    """

    name: str
    radius: tuple[float, float]
    nucleus: Callable[[Generator], list[Disc]]
    cytoplasm: tuple[float, float, float]
    granule: tuple[float, float, float] = (0.45, 0.2, 0.5)
    bite: float = 0
    granules: float = 0
    grain: float = 4
    over_nucleus: bool = False


BLUE, PINK, GREY = (0.66, 0.68, 0.84), (0.88, 0.72, 0.74), (0.75, 0.7, 0.8)
ORANGE, VIOLET, FINE = (0.8, 0.38, 0.3), (0.28, 0.12, 0.42), (0.62, 0.4, 0.62)

KINDS = (
    Kind("round nucleus", (0.36, 0.62), _round, BLUE),
    Kind("small nucleus", (0.34, 0.58), _small, GREY),
    Kind("notched nucleus", (0.5, 0.72), _round, BLUE, bite=0.46),
    Kind("two lobes, orange granules", (0.48, 0.68), _two_lobes, PINK, ORANGE, granules=0.75, grain=4.5),
    Kind("two lobes, violet granules", (0.48, 0.66), _two_lobes, GREY, VIOLET, 0, 0.8, 3.5, True),
    Kind("many lobes", (0.48, 0.7), _arc_of_lobes, PINK, FINE, granules=0.35, grain=7),
    Kind("long nucleus, fine granules", (0.5, 0.72), _oval, PINK, FINE, granules=0.7, grain=6),
    Kind("no nucleus", (0.2, 0.42), _none, GREY, VIOLET, granules=0.6, grain=4),
)


def load(request: DataRequest, argument: str, progress: Progress) -> Source:
    """Return drawn cells: 2,000 to train, 400 to validate and 800 to test, as many of each kind.

    Raises:
        DataError: an argument was given, as in "synthetic:x", or the seed is negative.
    """
    if argument:
        raise DataError(f"'{request.name}' is not a data set", expected="synthetic, without more")
    if request.seed < 0:
        raise DataError("The seed of synthetic images is negative", expected="0 or more", found=str(request.seed))

    def open_records() -> dict[str, Records]:
        return {
            split: Records(_labels(count, request.seed), partial(_drawn, request, number, progress))
            for number, (split, count) in enumerate(COUNTS.items())
        }

    return Source(
        name="synthetic",
        classes=tuple(kind.name for kind in KINDS),
        attribution="Drawn by Assay",
        licence="Apache-2.0",
        notice=NOTICE,
        synthetic=True,
        origin="synthetic",
        size=request.size,
        channels=3,
        identity={"seed": request.seed, "version": VERSION},
        open=open_records,
    )


def draw(labels: NDArray[np.int64], randoms: list[Generator], size: int) -> NDArray[np.uint8]:
    """Draw one cell for each label and its source of chance: uint8, (n, size, size, 3)."""
    sketches = [_sketch(KINDS[label], random) for label, random in zip(labels.tolist(), randoms, strict=True)]
    canvas = paint(stack(sketches), size)
    for position, (sketch, random) in enumerate(zip(sketches, randoms, strict=True)):
        canvas[position] += sketch.finish[1] * random.standard_normal(canvas.shape[1:], np.float32)
    return (np.clip(canvas, 0, 1) * 255 + 0.5).astype(np.uint8)


def _labels(count: int, seed: int) -> NDArray[np.int64]:
    """Return as many labels of each kind as of any other, in an order drawn from the seed."""
    return np.random.default_rng([seed, count]).permutation(np.arange(count) % len(KINDS)).astype(np.int64)


def _drawn(request: DataRequest, split: int, progress: Progress, wanted: Positions) -> Pieces:
    """Iterate over the pictures at some positions of a split, in pieces."""
    count = list(COUNTS.values())[split]
    labels = _labels(count, request.seed)
    step = max(1, PIXELS_AT_ONCE // request.size**2)

    def draw_from(start: int) -> NDArray[np.uint8]:
        some = wanted[start : start + step]
        randoms = [np.random.default_rng([request.seed, split, position]) for position in some.tolist()]
        return draw(labels[some], randoms, request.size)

    workers = os.cpu_count() or 1
    with ThreadPoolExecutor(workers) as pool:
        for start in range(0, len(wanted), step * workers):
            starts = range(start, min(start + step * workers, len(wanted)), step)
            yield from pool.map(draw_from, starts)
            progress("drawing synthetic cells", min(start + step * workers, len(wanted)), len(wanted))


def _sketch(kind: Kind, random: Generator) -> Sketch:
    """Draw everything about one cell except its noise; the draws are the same at every resolution."""
    radius = random.uniform(*kind.radius)
    angle = random.uniform(0, 2 * np.pi)
    lobes = kind.nucleus(random)
    directions = (np.arange(WAVES) + random.uniform(-0.4, 0.4, WAVES)) * (np.pi / WAVES)
    lengths = kind.grain * random.uniform(0.7, 1.4, WAVES) * np.pi
    waves = [np.cos(directions) * lengths, np.sin(directions) * lengths, random.uniform(0, 2 * np.pi, WAVES)]
    share = kind.granules * random.uniform(0.7, 1.1)
    return Sketch(
        place=_values([*random.uniform(-0.22, 0.22, 2), radius]),
        turn=_values([np.cos(angle), np.sin(angle)]),
        wobble=_values([random.uniform(0.02, 0.09), *random.uniform(3, 6, 1), *random.uniform(0, 6.3, 2)]),
        lobes=_values([*lobes, *[OUTSIDE] * (LOBES - len(lobes))]),
        bite=_values([(0.0, 0.8, kind.bite * random.uniform(0.85, 1.2)) if kind.bite else OUTSIDE]),
        waves=_values(waves).T,
        granules=_values([share, share if kind.over_nucleus else 0.15 * share]),
        red_cells=_values([_red_cell(random) for _ in range(RED_CELLS)]),
        colours=_colours(kind, random),
        finish=_values([random.uniform(0.04, 0.14), random.uniform(0.015, 0.045)]),
    )


def _red_cell(random: Generator) -> Disc:
    """Draw a red cell towards the edge of the picture."""
    angle, far = random.uniform(0, 2 * np.pi), random.uniform(0.85, 1.35)
    return far * np.cos(angle), far * np.sin(angle), random.uniform(0.24, 0.36)


def _colours(kind: Kind, random: Generator) -> Values:
    """Vary each typical colour, then all of them by one stain and one light."""
    typical = _values([(0.97, 0.88, 0.78), (0.84, 0.7, 0.68), kind.cytoplasm, kind.granule, (0.3, 0.16, 0.46)])
    ease = np.array([[0.5], [0.7], [1], [1], [1]])
    varied = typical + ease * random.normal(0, 0.04, typical.shape)
    stain = ease * random.normal(0, 0.045, 3)
    return _values((varied + stain) * random.uniform(0.84, 1.04))


def _values(numbers: object) -> Values:
    return np.asarray(numbers, np.float32)
