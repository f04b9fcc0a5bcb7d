"""The search for a model's decision boundary, in float64, with any framework's gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.export.routes.request import Images

Doubles = NDArray[Any]
"""Arrays of float64."""
Forward = Callable[[Doubles], Doubles]
"""Images (images, height, width, channels) to logits (images, classes)."""
Gradient = Callable[[Doubles], Doubles]
"""Images to the gradient, by them, of the margin between each one's two largest logits."""

STEPS = 50
OVERSHOOT = 0.02
BISECTIONS = 26
"""The steps of a bisection: two more than the bits of a float32 pixel."""


def push_to_boundary(forward: Forward, gradient: Gradient, images: Images) -> tuple[Images, Doubles]:
    """Return the nearest images found at which the two best classes are almost equal.

    Each step goes to where the margin between the two best classes would vanish if the model were linear, and a
    little further, as DeepFool does (Moosavi-Dezfooli, Fawzi & Frossard 2016, "DeepFool: a simple and accurate method
    to fool deep neural networks"), within the range of an image. Once the class has changed, the line between the
    last two points is bisected down to the resolution of float32.

    Args:
        images: normalised float32 (images, height, width, channels).

    Returns:
        Images of the same shape and type, and the float64 margin of each, (images,); an image whose class did not
        change within 50 steps is the one with the smallest margin met.
    """
    inside, outside = _bracket(forward, gradient, images.astype(np.float64))
    found = _bisect(forward, inside, outside)
    return found.astype(np.float32), _margin(forward(found))


def _bracket(forward: Forward, gradient: Gradient, start: Doubles) -> tuple[Doubles, Doubles]:
    """Return for each image the last point of its class and the first of another; where none was found, the last point
    twice.
    """
    logits = forward(start)
    original, margins = logits.argmax(1), _margin(logits)
    inside, outside = start.copy(), start.copy()
    left = np.arange(len(start))
    for _ in range(STEPS):
        # The next power of two of them, some twice: what compiles for each number of images sees few of those.
        many = np.resize(left, min(1 << (len(left) - 1).bit_length(), len(start)))
        point = _stepped(inside[many], margins[many], gradient(inside[many]))
        logits = forward(point)
        outside[many], margins[many] = point, _margin(logits)
        left = np.unique(many[logits.argmax(1) == original[many]])
        inside[left] = outside[left]
        if not len(left):
            break
    return inside, outside


def _stepped(point: Doubles, margin: Doubles, gradient: Doubles) -> Doubles:
    """Take one step of DeepFool towards the second best class, kept within the range of an image."""
    length = np.square(gradient).sum((1, 2, 3)).clip(np.finfo(np.float64).tiny)
    moved: Doubles = point - _image_wise((1 + OVERSHOOT) * margin / length) * gradient
    return np.clip(moved, -1, 1)


def _bisect(forward: Forward, inside: Doubles, outside: Doubles) -> Doubles:
    """Return the float32 image of least margin met on the line between two points on either side of a boundary."""
    best = _to_float32(inside)
    original, least = forward(inside).argmax(1), _margin(forward(best))
    for _ in range(BISECTIONS):
        middle = (inside + outside) / 2
        image = _to_float32(middle)
        logits = forward(image)
        margin = _margin(logits)
        nearer = margin < least
        best[nearer], least[nearer] = image[nearer], margin[nearer]
        same = _image_wise(logits.argmax(1) == original)
        inside, outside = np.where(same, middle, inside), np.where(same, outside, middle)
    return best


def _margin(logits: Doubles) -> Doubles:
    """Return the largest logit less the second largest, (images,)."""
    best = np.partition(logits, -2, axis=1)
    margins: Doubles = best[:, -1] - best[:, -2]
    return margins


def _image_wise(values: NDArray[Any]) -> NDArray[Any]:
    """Reshape (images,) so that it broadcasts with images."""
    return values[:, None, None, None]


def _to_float32(images: Doubles) -> Doubles:
    return images.astype(np.float32).astype(np.float64)
