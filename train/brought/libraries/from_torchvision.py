"""Models of torchvision, with the image size of their own preprocessing."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import torch

from assay.train.brought.libraries.made import MadeModel, images, pictures, with_weights
from assay.train.brought.model import Location

BOXES = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
COMPILED = ("torchvision::nms", "torchvision::qnms")
"""Operators that torchvision describes to PyTorch when it is imported, both with the arguments `BOXES`."""
USUAL_SIZE = 224


def make(location: Location) -> MadeModel:
    """Make `torchvision:NAME`.

    Raises:
        Exception: whatever torchvision raises, such as for a name that it does not know.
    """
    models: Any = import_torchvision().models
    name = location.function
    model, weights = with_weights(
        lambda: models.get_model(name, weights="DEFAULT"), lambda: models.get_model(name, weights=None)
    )
    prepare = models.get_model_weights(name).DEFAULT.transforms()

    def read(folder: Path) -> dict[str, object]:
        return {"image": torch.stack([prepare(one) for one in pictures(folder)]).numpy()}

    return images(model, _size(prepare), weights, read=read)


def import_torchvision() -> Any:
    """Import it, also where its compiled operators were built for another PyTorch (with CUDA, where this one has none).
    Then only models that call one fail: everything else of it is written in Python.
    """
    try:
        return importlib.import_module("torchvision")
    except RuntimeError as error:
        if COMPILED[0] not in str(error):
            raise
        for name in COMPILED:
            torch.library.define(name, BOXES)
        return importlib.import_module("torchvision")


def _size(transforms: object) -> tuple[int, int]:
    for one in ("crop_size", "resize_size"):
        size = getattr(transforms, one, None)
        if size:
            return (int(size[0]), int(size[-1]))
    return (USUAL_SIZE, USUAL_SIZE)
