"""The sentences on layers that compute as in training, and what their owner can do."""

from __future__ import annotations

from collections.abc import Sequence

from assay.train.brought.model import Kind, Location

MOST_NAMED = 3
IN_FILE = "Export it again in evaluation mode; random numbers that are needed can become an input"
IN_CODE: dict[Kind, str] = {
    "torch": "Give BatchNorm its running statistics (track_running_stats=True) and functions training=self.training: "
    "eval(), which Assay calls, does not change these layers",
    "tf": "Call the layers with training=False",
    "jax": "Call BatchNorm with use_running_average=True and Dropout with deterministic=True, or with Flax NNX the "
    "model's eval()",
}


def few(names: Sequence[str]) -> str:
    """Join the first names and count the others: "conv1, conv2, conv3, 14 more"."""
    more = [f"{len(names) - MOST_NAMED} more"] if len(names) > MOST_NAMED else []
    return ", ".join([*names[:MOST_NAMED], *more])


def as_in_training(layers: Sequence[str]) -> str:
    """Say which layers compute as in training."""
    return f"{few(layers)} {'computes' if len(layers) == 1 else 'compute'} as in training"


def out_of_training(location: Location) -> str:
    """Return what can be done about them."""
    return IN_CODE.get(location.kind or "onnx", IN_FILE) if location.function else IN_FILE
