"""Images that are difficult for arithmetic: a test split never has them, but a camera or a damaged file may.

All are float32 as a model takes them: normalised to -1..1, (images, height, width, channels).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.float32]

EXTREME_CONTRAST = 1e4
"""A contrast far outside the range of an image and far inside that of fp32: an input that was never normalised, and
worse.
"""
NOISE_IMAGES = 8
SMALLEST_NORMAL = float(np.finfo(np.float32).tiny)


@dataclass(frozen=True)
class NamedImages:
    """Images with a name for each."""

    names: tuple[str, ...]
    images: Images


def hard_inputs(shape: tuple[int, int, int]) -> NamedImages:
    """Make hard images of one shape (height, width, channels), within the range of an image."""
    height, width, _ = shape
    random = np.random.default_rng(0)
    board, ramp = _checkerboard(shape), _ramp(shape)
    made = {
        "black": np.full(shape, -1.0),
        "white": np.full(shape, 1.0),
        "grey": np.zeros(shape),
        "one white pixel in the centre": _one_pixel(shape, height // 2, width // 2),
        "one white pixel in the corner": _one_pixel(shape, 0, 0),
        "half black, half white": np.where(np.arange(width)[None, :, None] < width // 2, -1.0, 1.0) * np.ones(shape),
        "checkerboard": board,
        "ramp": ramp,
        "almost nothing": board * SMALLEST_NORMAL,
        "below the smallest normal number": board * SMALLEST_NORMAL / 8,
    }
    for number in range(NOISE_IMAGES):
        made[f"saturated noise {number}"] = random.choice([-1.0, 1.0], shape)
    return NamedImages(tuple(made), np.stack(list(made.values())).astype(np.float32))


def extreme_inputs(shape: tuple[int, int, int]) -> NamedImages:
    """Make images of extreme contrast. Their outputs are large, so they are a set with a scale of its own."""
    made = {
        "checkerboard of extreme contrast": _checkerboard(shape) * EXTREME_CONTRAST,
        "ramp of extreme contrast": _ramp(shape) * EXTREME_CONTRAST,
        "extremely white": np.full(shape, EXTREME_CONTRAST),
        "extremely black": np.full(shape, -EXTREME_CONTRAST),
    }
    return NamedImages(tuple(made), np.stack(list(made.values())).astype(np.float32))


def special_inputs(shape: tuple[int, int, int]) -> NamedImages:
    """Make images with values that are not finite, to see whether all runtimes pass them on alike."""
    base = np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)
    row, column = shape[0] // 2, shape[1] // 2
    made = {"all NaN": np.full(shape, np.nan, np.float32)}
    for name, value in (("NaN", np.nan), ("infinity", np.inf), ("minus infinity", -np.inf)):
        made[f"one {name}"] = base.copy()
        made[f"one {name}"][row, column, 0] = value
    return NamedImages(tuple(made), np.stack(list(made.values())).astype(np.float32))


def _one_pixel(shape: tuple[int, int, int], row: int, column: int) -> NDArray[np.float64]:
    image = np.full(shape, -1.0)
    image[row, column] = 1.0
    return image


def _checkerboard(shape: tuple[int, int, int]) -> NDArray[np.float64]:
    signs = np.indices(shape[:2]).sum(axis=0) % 2 * 2.0 - 1
    board: NDArray[np.float64] = signs[..., None] * np.ones(shape)
    return board


def _ramp(shape: tuple[int, int, int]) -> NDArray[np.float64]:
    return np.linspace(-1, 1, shape[1])[None, :, None] * np.ones(shape)
