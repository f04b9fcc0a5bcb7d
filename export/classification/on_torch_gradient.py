"""PyTorch's gradient of a margin, in float64."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from assay.export.classification.boundary import Doubles, Gradient
from assay.spec import ModelSpec
from assay.train.models import on_torch
from assay.train.weights import load_weights


def gradient_of_margin(spec: ModelSpec, weights_file: Path) -> Gradient:
    """Return a function that gives the gradient of the margin, the largest logit less the second, at float64 images
    (images, height, width, channels).
    """
    model = on_torch.load(spec, load_weights(weights_file), "float64")

    def gradient(images: Doubles) -> Doubles:
        point = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2))).requires_grad_(True)
        best = model(point).topk(2, dim=1).values
        (found,) = torch.autograd.grad((best[:, 0] - best[:, 1]).sum(), point)
        by_pixel: Doubles = found.numpy().transpose(0, 2, 3, 1)
        return by_pixel

    return gradient
