"""The parameters of each architecture: canonical name, shape and role, and the same start for every framework.

This table is the single description of what a set of weights holds. The models in `train/models/` follow its
names, so converting weights needs no table of its own for each architecture.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from assay.errors import InputError
from assay.registry import ARCHITECTURES
from assay.spec import ModelSpec

Weights = dict[str, NDArray[np.float32]]
"""Canonical name -> float32 array in the canonical layout (see `Parameter`)."""

BLOODNET_WIDTHS = (32, 64, 128)
RESNET18_WIDTHS = (64, 128, 256, 512)
VIT_WIDTH, VIT_DEPTH, VIT_HEADS, VIT_HIDDEN = 192, 12, 3, 768
VIT_MOST_TOKENS = 200
# Widths of a skeleton: neighbours differ, so that the same shortcuts have convolutions.
BLOODNET_LEAST, RESNET18_LEAST = (1, 2, 3), (1, 2, 3, 4)
VIT_LEAST_WIDTH, VIT_LEAST_HIDDEN = VIT_HEADS, 4
SKELETON_SIZE = 8
"""The image size of a skeleton: the smallest that every architecture takes and in which a convolution can still
slide.
"""


@dataclass(frozen=True)
class Parameter:
    """One array of a model.

    Attributes:
        name: canonical name, module path and role joined by dots: "stage1.unit2.conv.kernel".
        shape: canonical layout: convolution kernels are (height, width, in, out), dense kernels (in, out),
            all other arrays as they are.
    """

    name: str
    shape: tuple[int, ...]

    @property
    def module(self) -> str:
        """Path of the module that holds it, "" for the model itself."""
        return self.name.rpartition(".")[0]

    @property
    def role(self) -> str:
        """ "kernel", "bias", "scale", "offset", "mean", "variance" or "position"."""
        return self.name.rpartition(".")[2]

    @property
    def trained(self) -> bool:
        """Whether it is trained; false for BatchNorm's running statistics."""
        return self.role not in {"mean", "variance"}

    @property
    def decayed(self) -> bool:
        """Whether weight decay applies to it, as it does to kernels only."""
        return self.role == "kernel"


def parameters(spec: ModelSpec) -> tuple[Parameter, ...]:
    """Return the parameters of a model, in a fixed order.

    Raises:
        InputError: the architecture is unknown, or cannot take the size.
    """
    table: Callable[[ModelSpec], tuple[Parameter, ...]] = ARCHITECTURES[spec.architecture].load()
    return table(spec)


def bloodnet_widths(spec: ModelSpec) -> tuple[int, ...]:
    """Return the number of channels after each convolution, as few as possible for a skeleton."""
    return BLOODNET_LEAST if spec.skeleton else BLOODNET_WIDTHS


def resnet18_widths(spec: ModelSpec) -> tuple[int, ...]:
    """Return the number of channels after each stage, as few as possible for a skeleton."""
    return RESNET18_LEAST if spec.skeleton else RESNET18_WIDTHS


def vit_widths(spec: ModelSpec) -> tuple[int, int]:
    """Return the width of the tokens, and of the hidden layer between them."""
    return (VIT_LEAST_WIDTH, VIT_LEAST_HIDDEN) if spec.skeleton else (VIT_WIDTH, VIT_HIDDEN)


def skeleton_of(spec: ModelSpec) -> ModelSpec:
    """Return the same architecture with the least widths and the smallest image; it is the same for every size."""
    return replace(spec, size=SKELETON_SIZE, skeleton=True)


def bloodnet(spec: ModelSpec) -> tuple[Parameter, ...]:
    """Describe three stages of two 3x3 convolution units, with 2x2 max-pooling between them, average pooling, and a
    dense layer.
    """
    if spec.size < 4:
        raise InputError("bloodnet has two pooling layers", expected="a size of 4 or more", found=str(spec.size))
    found: list[Parameter] = []
    width_in = spec.channels
    for stage, width in enumerate(bloodnet_widths(spec), start=1):
        found += _unit(f"stage{stage}.unit1", 3, width_in, width)
        found += _unit(f"stage{stage}.unit2", 3, width, width)
        width_in = width
    return (*found, *_dense("head", width_in, spec.classes))


def resnet18(spec: ModelSpec) -> tuple[Parameter, ...]:
    """Describe ResNet-18 (He et al. 2016, arXiv:1512.03385) with its 7x7 stride-2 stem at every size."""
    widths = resnet18_widths(spec)
    found = _unit("stem", 7, spec.channels, widths[0])
    width_in = widths[0]
    for stage, width in enumerate(widths, start=1):
        for block in (1, 2):
            path = f"stage{stage}.block{block}"
            found += _unit(f"{path}.unit1", 3, width_in, width)
            found += _unit(f"{path}.unit2", 3, width, width)
            if width_in != width:
                found += _unit(f"{path}.shortcut", 1, width_in, width)
            width_in = width
    return (*found, *_dense("head", width_in, spec.classes))


def vit_tiny(spec: ModelSpec) -> tuple[Parameter, ...]:
    """Describe ViT-Ti (Touvron et al. 2021, arXiv:2012.12877): learned positions, average over tokens, no class
    token.
    """
    width, hidden = vit_widths(spec)
    patch = patch_size(spec)
    tokens = (spec.size // patch) ** 2
    found = [
        Parameter("patch.kernel", (patch, patch, spec.channels, width)),
        Parameter("patch.bias", (width,)),
        Parameter("position", (tokens, width)),
    ]
    for layer in range(VIT_DEPTH):
        path = f"layers.{layer}"
        found += _norm(f"{path}.norm1", width)
        for part in ("query", "key", "value", "out"):
            found += _dense(f"{path}.attention.{part}", width, width)
        found += _norm(f"{path}.norm2", width)
        found += _dense(f"{path}.expand", width, hidden)
        found += _dense(f"{path}.contract", hidden, width)
    return (*found, *_norm("norm", width), *_dense("head", width, spec.classes))


def patch_size(spec: ModelSpec) -> int:
    """Return the edge of a ViT patch in pixels: the smallest of 4, 8, 16, 32 that gives at most 200 tokens.

    Raises:
        InputError: the size is not a multiple of any that does.
    """
    for patch in (4, 8, 16, 32):
        if spec.size % patch == 0 and (spec.size // patch) ** 2 <= VIT_MOST_TOKENS:
            return patch
    raise InputError(
        "vit-tiny splits the image into at most 200 patches of 4, 8, 16 or 32 pixels",
        expected="a size such as 28, 64, 128 or 224",
        found=str(spec.size),
    )


def _unit(path: str, kernel: int, width_in: int, width_out: int) -> list[Parameter]:
    """Describe a convolution without bias followed by BatchNorm."""
    return [
        Parameter(f"{path}.conv.kernel", (kernel, kernel, width_in, width_out)),
        *_norm(f"{path}.norm", width_out),
        Parameter(f"{path}.norm.mean", (width_out,)),
        Parameter(f"{path}.norm.variance", (width_out,)),
    ]


def _norm(path: str, width: int) -> list[Parameter]:
    return [Parameter(f"{path}.scale", (width,)), Parameter(f"{path}.offset", (width,))]


def _dense(path: str, width_in: int, width_out: int) -> list[Parameter]:
    return [Parameter(f"{path}.kernel", (width_in, width_out)), Parameter(f"{path}.bias", (width_out,))]


def initial_weights(spec: ModelSpec, seed: int, convention: str = "shared") -> Weights:
    """Draw the weights that every framework starts from.

    Each array has its own random stream, so it does not depend on the others. Convolutions are He-normal
    (He et al. 2015, arXiv:1502.01852), dense kernels and positions normal with deviation 0.02 in vit-tiny
    and Glorot-uniform elsewhere. The other conventions are the defaults of one framework, for the experiment that
    trains with them: "torch" (uniform within 1/sqrt(fan in)), "keras" (Glorot-uniform), "flax" (LeCun-normal).
    """
    return {p.name: _initial(p, spec, seed, convention).astype(np.float32) for p in parameters(spec)}


def _initial(parameter: Parameter, spec: ModelSpec, seed: int, convention: str) -> NDArray[np.float64]:
    if parameter.role in {"scale", "variance"}:
        return np.ones(parameter.shape)
    if parameter.role in {"offset", "mean", "bias"}:
        return np.zeros(parameter.shape)
    stream = [seed, zlib.crc32(parameter.name.encode())]
    *receptive, width_in, width_out = parameter.shape
    fan_in, fan_out = math.prod(receptive) * width_in, math.prod(receptive) * width_out
    uniform = np.random.default_rng(stream).uniform(-1, 1, parameter.shape)
    normal = np.random.default_rng(stream).standard_normal(parameter.shape)
    if parameter.role == "position" or (convention == "shared" and spec.architecture == "vit-tiny"):
        return 0.02 * normal
    he = normal * math.sqrt(2 / fan_in) if receptive else uniform * math.sqrt(6 / (fan_in + fan_out))
    return {
        "shared": he,
        "torch": uniform / math.sqrt(fan_in),
        "keras": uniform * math.sqrt(6 / (fan_in + fan_out)),
        "flax": normal / math.sqrt(fan_in),
    }[convention]
