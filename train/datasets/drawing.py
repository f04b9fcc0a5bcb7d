"""The painting of drawn cells: layers of soft-edged discs and ripples, many pictures at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float32]


@dataclass(frozen=True)
class Sketch:
    """The random properties of some cells, with cells along the first axis; lengths are half pictures.

    Attributes:
        place: (n, 3): x, y and radius of the cell.
        turn: (n, 2): cosine and sine of its angle.
        wobble: (n, 4): height, waves and two phases of the dents in all outlines.
        lobes: (n, any number, 3); bite: (n, 1, 3): discs in radii of the cell.
        waves: (n, any number, 3): direction and phase of the waves that make granules.
        granules: (n, 2): their share of the colour in the cytoplasm and over the nucleus.
        red_cells: (n, any number, 3): discs in the picture.
        colours: (n, 5, 3): background, red cells, cytoplasm, granules, nucleus.
        finish: (n, 2): width of soft edges, strength of noise.
    """

    place: Values
    turn: Values
    wobble: Values
    lobes: Values
    bite: Values
    waves: Values
    granules: Values
    red_cells: Values
    colours: Values
    finish: Values


def stack(sketches: list[Sketch]) -> Sketch:
    """Combine single sketches into one of many cells."""
    return Sketch(**{name: np.stack([getattr(one, name) for one in sketches]) for name in vars(sketches[0])})


def paint(sketch: Sketch, size: int) -> Values:
    """Paint pictures without noise, (n, size, size, 3): each layer over those before it."""
    background, red, cytoplasm, granule, nucleus_colour = np.moveaxis(sketch.colours, 1, 0)
    axis = (np.arange(size, dtype=np.float32) + 0.5) * np.float32(2 / size) - 1
    x, y = _wobble(axis[None, None, :], axis[None, :, None], sketch.wobble)
    soft = _each(np.maximum(sketch.finish[:, 0], 2 / size))
    canvas = np.broadcast_to(background[:, None, None], (len(background), size, size, 3)).copy()

    rings = _inside(x, y, sketch.red_cells)
    _cover(canvas, red, _edge(rings, soft) * (1 - 0.75 * np.clip(rings * 5 - 0.45, 0, 1)))

    radius = _each(sketch.place[:, 2])
    right, down = (x - _each(sketch.place[:, 0])) / radius, (y - _each(sketch.place[:, 1])) / radius
    cosine, sine = _each(sketch.turn[:, 0]), _each(sketch.turn[:, 1])
    u, v = cosine * right + sine * down, cosine * down - sine * right
    cell = _edge((1 - np.hypot(u, v)) * radius, soft)
    shape = np.minimum(_inside(u, v, sketch.lobes), -_inside(u, v, sketch.bite))
    nucleus = _edge(shape * radius, soft) * cell
    texture = _ripples(u, v, sketch.waves)
    grains = np.clip(1.6 * texture - 0.4, 0, 1)
    _cover(canvas, cytoplasm, cell)
    _cover(canvas, granule, cell * grains * _each(sketch.granules[:, 0]))
    _cover(canvas, nucleus_colour, nucleus * (0.92 + 0.08 * np.clip(texture, -1, 1)))
    _cover(canvas, granule, nucleus * grains * _each(sketch.granules[:, 1]))
    return canvas


def _each(numbers: Values) -> Values:
    """Reshape one number for each picture so that it broadcasts over its pixels."""
    return numbers[:, None, None]


def _wobble(x: Values, y: Values, wobble: Values) -> tuple[Values, Values]:
    """Bend the plane slightly, so that no outline is a perfect circle."""
    height, waves, first, second = (_each(wobble[:, column]) for column in range(4))
    return x + height * np.sin(waves * y + first), y + height * np.sin(waves * x + second)


def _inside(x: Values, y: Values, discs: Values) -> Values:
    """Return how far inside a union of discs each point is; negative outside."""
    depth = np.full(np.broadcast_shapes(x.shape, y.shape), -np.inf, np.float32)
    for disc in np.moveaxis(discs, 1, 0):
        distance = np.hypot(x - _each(disc[:, 0]), y - _each(disc[:, 1]))
        np.maximum(depth, _each(disc[:, 2]) - distance, out=depth)
    return depth


def _ripples(u: Values, v: Values, waves: Values) -> Values:
    """Return a sum of waves in all directions, of variance one: its crests are the granules."""
    total = np.zeros_like(u)
    for wave in np.moveaxis(waves, 1, 0):
        total += np.cos(_each(wave[:, 0]) * u + _each(wave[:, 1]) * v + _each(wave[:, 2]))
    return total * np.float32((2 / waves.shape[1]) ** 0.5)


def _edge(depth: Values, soft: Values) -> Values:
    """Return 1 inside, 0 outside, and a ramp of width `soft` between."""
    ramp: Values = np.clip(depth / soft + 0.5, 0, 1)
    return ramp


def _cover(canvas: Values, colour: Values, share: Values) -> None:
    """Mix a colour into the pictures, by its share at each pixel."""
    canvas += share[..., None] * (colour[:, None, None] - canvas)
