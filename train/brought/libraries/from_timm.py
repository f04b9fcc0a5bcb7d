"""Models of timm, with the image size of their own pretraining."""

from __future__ import annotations

import importlib
from pathlib import Path

import torch

from assay.train.brought.libraries.from_torchvision import import_torchvision
from assay.train.brought.libraries.made import MadeModel, images, pictures, with_weights
from assay.train.brought.model import Location


def make(location: Location) -> MadeModel:
    """Make `timm:NAME`.

    Raises:
        Exception: whatever timm raises, such as for a name that it does not know.
    """
    import_torchvision()
    create = importlib.import_module("timm").create_model
    model, weights = with_weights(
        lambda: create(location.function, pretrained=True), lambda: create(location.function, pretrained=False)
    )
    channels, height, width = getattr(model, "pretrained_cfg", {}).get("input_size", (3, 224, 224))

    def read(folder: Path) -> dict[str, object]:
        data = importlib.import_module("timm.data")
        prepare = data.create_transform(**data.resolve_model_data_config(model), is_training=False)
        return {"image": torch.stack([prepare(one) for one in pictures(folder)]).numpy()}

    return images(model, (height, width), weights, channels, read)
