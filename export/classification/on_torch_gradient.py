"""The search for a model's decision boundary with PyTorch's gradients, in float64."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from assay.export.routes.request import Images
from assay.spec import ModelSpec
from assay.train.models import on_torch
from assay.train.weights import load_weights

STEPS = 50
OVERSHOOT = 0.02
BISECTIONS = 26
"""The steps of a bisection: two more than the bits of a float32 pixel."""


def push_to_boundary(spec: ModelSpec, weights_file: Path, images: Images) -> tuple[Images, NDArray[np.float64]]:
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
    model = on_torch.load(spec, load_weights(weights_file), "float64")
    start = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2))).double()
    inside, outside = _bracket(model, start)
    found = _bisect(model, inside, outside)
    with torch.inference_mode():
        margins = _margin(model(found))
    pushed = found.float().numpy().transpose(0, 2, 3, 1)
    return np.ascontiguousarray(pushed), margins.numpy()


def _bracket(model: nn.Module, start: Tensor) -> tuple[Tensor, Tensor]:
    """Return for each image the last point of its class and the first of another; where none was found, the last point
    twice.
    """
    with torch.inference_mode():
        original = model(start).argmax(1)
    inside, outside = start.clone(), start.clone()
    left = torch.arange(len(start))
    for _ in range(STEPS):
        point = _step(model, inside[left])
        outside[left] = point
        with torch.inference_mode():
            same = model(point).argmax(1) == original[left]
        left = left[same]
        inside[left] = outside[left]
        if not len(left):
            break
    return inside, outside


def _step(model: nn.Module, point: Tensor) -> Tensor:
    """Take one step of DeepFool towards the second best class, kept within the range of an image."""
    point = point.clone().requires_grad_(True)
    margin = _margin(model(point))
    (gradient,) = torch.autograd.grad(margin.sum(), point)
    length = gradient.flatten(1).square().sum(1).clamp_min(torch.finfo(torch.float64).tiny)
    shift = _image_wise((1 + OVERSHOOT) * margin.detach() / length) * gradient
    return (point.detach() - shift).clamp(-1, 1)


def _bisect(model: nn.Module, inside: Tensor, outside: Tensor) -> Tensor:
    """Return the float32 image of least margin met on the line between two points on either side of a boundary."""
    best = _to_float32(inside)
    with torch.inference_mode():
        original = model(inside).argmax(1)
        least = _margin(model(best))
        for _ in range(BISECTIONS):
            middle = (inside + outside) / 2
            image = _to_float32(middle)
            logits = model(image)
            margin = _margin(logits)
            nearer = margin < least
            best[nearer], least[nearer] = image[nearer], margin[nearer]
            same = _image_wise(logits.argmax(1) == original)
            inside, outside = torch.where(same, middle, inside), torch.where(same, outside, middle)
    return best


def _margin(logits: Tensor) -> Tensor:
    """Return the largest logit less the second largest, (images,)."""
    best = logits.topk(2, dim=1).values
    return best[:, 0] - best[:, 1]


def _image_wise(values: Tensor) -> Tensor:
    """Reshape (images,) so that it broadcasts with (images, C, H, W)."""
    return values[:, None, None, None]


def _to_float32(images: Tensor) -> Tensor:
    return images.float().double()
