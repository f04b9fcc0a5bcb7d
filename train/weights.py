"""Neutral weights: one canonical name and layout for every parameter, stored as safetensors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from assay.errors import ArtifactError
from assay.files.mistakes import mistake_in
from assay.spec import ModelSpec
from assay.train.architectures import Weights, initial_weights, parameters

__all__ = ["Weights", "check_weights", "fold_batchnorm", "initial_weights", "load_weights", "save_weights"]

NORM_EPSILON = 1e-5
"""The number added to every BatchNorm variance, in every framework."""
LAYER_NORM_EPSILON = 1e-6
"""The number added to every LayerNorm variance, in every framework."""


def save_weights(path: Path, weights: Weights) -> None:
    """Write weights as safetensors."""
    path.write_bytes(save({name: np.ascontiguousarray(array) for name, array in weights.items()}))


def load_weights(path: Path) -> Weights:
    """Read weights.

    Raises:
        ArtifactError: the file is missing, damaged or not safetensors.
    """
    try:
        return dict(load_file(path))
    except (OSError, SafetensorError) as error:
        raise ArtifactError(
            f"Cannot read weights from {path}", expected="a complete .safetensors file", found=mistake_in(error)
        ) from error


def check_weights(spec: ModelSpec, weights: Weights) -> None:
    """Make sure that weights fit a model: names, shapes and finite values.

    Raises:
        ArtifactError: an array does not fit; the message names the first.
    """
    expected = {parameter.name: parameter.shape for parameter in parameters(spec)}
    for name, shape in expected.items():
        if name not in weights:
            raise ArtifactError(f"Weights for {spec.architecture} lack '{name}'")
        if weights[name].shape != shape:
            raise ArtifactError(
                f"Weight '{name}' of {spec.architecture} at {spec.size} pixels has another shape",
                expected=str(shape),
                found=str(weights[name].shape),
            )
        if not np.isfinite(weights[name]).all():
            raise ArtifactError(f"Weight '{name}' has values that are not finite")
    extra = sorted(set(weights) - set(expected))
    if extra:
        raise ArtifactError(f"Weights for {spec.architecture} have '{extra[0]}', which the model does not have")


def fold_batchnorm(spec: ModelSpec, weights: Weights) -> Weights:
    """Return weights of the same function without BatchNorm: each is folded into the convolution before it.

    They are computed in float64 and rounded once. "x.norm.*" disappears, "x.conv.kernel" is scaled and "x.conv.bias" is
    new.
    """
    folded: Weights = {}
    for parameter in parameters(spec):
        if parameter.role == "kernel" and parameter.module.endswith(".conv"):
            path = parameter.module.removesuffix(".conv")
            scale, offset, mean, variance = (
                weights[f"{path}.norm.{role}"].astype(np.float64) for role in ("scale", "offset", "mean", "variance")
            )
            factor = scale / np.sqrt(variance + NORM_EPSILON)
            folded[parameter.name] = (weights[parameter.name] * factor).astype(np.float32)
            folded[f"{path}.conv.bias"] = (offset - mean * factor).astype(np.float32)
        elif f"{parameter.module}.mean" not in weights:
            folded[parameter.name] = weights[parameter.name]
    return folded
