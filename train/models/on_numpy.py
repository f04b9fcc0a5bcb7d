"""The architectures in NumPy, in NHWC, operation by operation: no framework has a part in them.

They check the float64 of a single framework, say how NaN and infinity go through a model, and name the values that a
wrong file is compared with. They are too slow to be timed, and are not trained.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from assay.spec import ModelSpec
from assay.train.architectures import VIT_DEPTH, VIT_HEADS, Weights, patch_size
from assay.train.weights import LAYER_NORM_EPSILON, NORM_EPSILON, check_weights

Array = NDArray[Any]
Told = Callable[[str, str, tuple[Array, ...], Array], None]
"""Takes a canonical layer, or "" between layers, the operation in words, its inputs and its result."""

_erf = np.frompyfunc(math.erf, 1, 1)


class Operations:
    """The operations of the architectures, with a model's weights, each told as it is done."""

    def __init__(self, weights: Weights, dtype: DTypeLike, told: Told | None = None) -> None:
        self.weights = {name: array.astype(dtype) for name, array in weights.items()}
        self._told = told or (lambda *_: None)

    def did(self, layer: str, text: str, result: Array, *inputs: Array) -> Array:
        """Tell of an operation, and return its result."""
        self._told(layer, text, inputs, result)
        return result

    def conv(self, x: Array, layer: str, stride: int = 1, padding: int = 0) -> Array:
        """Convolve with a kernel (height, width, in, out), one of its places after the other."""
        kernel, edge = self.weights[f"{layer}.kernel"], ((padding, padding), (padding, padding))
        padded = np.pad(x, ((0, 0), *edge, (0, 0)))
        height, width = ((padded.shape[axis] - len(kernel)) // stride + 1 for axis in (1, 2))
        found = np.zeros((len(x), height, width, kernel.shape[-1]), x.dtype)
        for row, column in np.ndindex(*kernel.shape[:2]):
            part = padded[:, row : row + stride * height : stride, column : column + stride * width : stride]
            found += np.tensordot(part, kernel[row, column], 1)
        bias = self.weights.get(f"{layer}.bias")
        return self.did(layer, f"conv2d({stride}, {padding})", found if bias is None else found + bias, x)

    def batch_norm(self, x: Array, layer: str) -> Array:
        """Normalise the channels by the stored mean and variance, as in evaluation."""
        scale, offset, mean, variance = (
            self.weights[f"{layer}.{role}"] for role in ("scale", "offset", "mean", "variance")
        )
        found = (x - mean) / np.sqrt(variance + NORM_EPSILON) * scale + offset
        return self.did(layer, f"batch_norm({NORM_EPSILON})", found, x)

    def unit(self, x: Array, path: str, stride: int = 1) -> Array:
        """Convolve without bias, with symmetric padding, and normalise."""
        kernel = len(self.weights[f"{path}.conv.kernel"])
        return self.batch_norm(self.conv(x, f"{path}.conv", stride, kernel // 2), f"{path}.norm")

    def relu(self, x: Array, layer: str = "") -> Array:
        return self.did(layer, "relu()", np.maximum(x, 0), x)

    def add(self, x: Array, other: Array, layer: str = "") -> Array:
        return self.did(layer, "add()", x + other, x, other)

    def max_pool(self, x: Array, edge: int, stride: int, padding: int = 0) -> Array:
        """Pool with a padding that is never the largest value."""
        around = (padding, padding)
        padded = np.pad(x, ((0, 0), around, around, (0, 0)), constant_values=-np.inf)
        windows = np.lib.stride_tricks.sliding_window_view(padded, (edge, edge), (1, 2))[:, ::stride, ::stride]
        return self.did("", f"max_pool2d({edge}, {stride}, {padding})", windows.max((-2, -1)), x)

    def mean(self, x: Array, *axes: int) -> Array:
        """Average over these axes."""
        return self.did("", f"mean({axes})", x.mean(axes), x)

    def dense(self, x: Array, layer: str) -> Array:
        """Multiply (..., in) by a kernel (in, out), and add the bias."""
        found = x @ self.weights[f"{layer}.kernel"] + self.weights[f"{layer}.bias"]
        return self.did(layer, "linear()", found, x)

    def layer_norm(self, x: Array, layer: str) -> Array:
        """Normalise the last axis by its own mean and variance."""
        normalised = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + LAYER_NORM_EPSILON)
        found = normalised * self.weights[f"{layer}.scale"] + self.weights[f"{layer}.offset"]
        return self.did(layer, f"layer_norm({LAYER_NORM_EPSILON})", found, x)

    def gelu(self, x: Array, layer: str) -> Array:
        """Apply GELU in its exact form, with the error function."""
        found = x * (1 + np.asarray(_erf(x / math.sqrt(2)), x.dtype)) / 2
        return self.did(layer, "gelu()", found, x)

    def attention(self, x: Array, path: str) -> Array:
        """Attend with all heads: softmax(QK'/sqrt(width of a head))V for each."""
        query, key, value = (self.dense(x, f"{path}.{part}") for part in ("query", "key", "value"))
        products = _heads(query) @ _heads(key).swapaxes(-1, -2) / math.sqrt(x.shape[-1] / VIT_HEADS)
        products = self.did(path, "matmul()", products, query, key)
        powers = np.exp(products - products.max(-1, keepdims=True))
        shares = self.did(path, "softmax()", powers / powers.sum(-1, keepdims=True), products)
        heads = (shares @ _heads(value)).swapaxes(1, 2).reshape(x.shape)
        heads = self.did(path, "matmul()", heads, shares, value)
        return self.dense(heads, f"{path}.out")


def _heads(x: Array) -> Array:
    """Part (images, tokens, width) into (images, heads, tokens, width of a head)."""
    return x.reshape(*x.shape[:2], VIT_HEADS, -1).swapaxes(1, 2)


def bloodnet(do: Operations, x: Array, spec: ModelSpec) -> Array:
    """Return the logits (images, classes) of images (images, height, width, channels)."""
    del spec
    for stage in (1, 2, 3):
        if stage > 1:
            x = do.max_pool(x, 2, 2)
        for unit in (1, 2):
            x = do.relu(do.unit(x, f"stage{stage}.unit{unit}"), f"stage{stage}")
    return do.dense(do.mean(x, 1, 2), "head")


def residual_block(do: Operations, x: Array, stride: int, path: str) -> Array:
    """Add to x what two units make of it; x itself is projected where the block changes its shape."""
    found = do.unit(do.relu(do.unit(x, f"{path}.unit1", stride), path), f"{path}.unit2")
    projected = f"{path}.shortcut.conv.kernel" in do.weights
    return do.relu(do.add(found, do.unit(x, f"{path}.shortcut", stride) if projected else x, path), path)


def resnet18(do: Operations, x: Array, spec: ModelSpec) -> Array:
    """Return the logits (images, classes) of images (images, height, width, channels)."""
    del spec
    x = do.max_pool(do.relu(do.unit(x, "stem", 2)), 3, 2, 1)
    for stage in (1, 2, 3, 4):
        for block in (1, 2):
            x = residual_block(do, x, 2 if stage > 1 and block == 1 else 1, f"stage{stage}.block{block}")
    return do.dense(do.mean(x, 1, 2), "head")


def vit_tiny(do: Operations, x: Array, spec: ModelSpec) -> Array:
    """Return the logits (images, classes) of images (images, height, width, channels)."""
    patches = do.conv(x, "patch", patch_size(spec))
    tokens = patches.reshape(len(x), -1, patches.shape[-1])
    x = do.did("", "add()", tokens + do.weights["position"], patches)
    for number in range(VIT_DEPTH):
        layer = f"layers.{number}"
        x = do.add(x, do.attention(do.layer_norm(x, f"{layer}.norm1"), f"{layer}.attention"), layer)
        hidden = do.gelu(do.dense(do.layer_norm(x, f"{layer}.norm2"), f"{layer}.expand"), layer)
        x = do.add(x, do.dense(hidden, f"{layer}.contract"), layer)
    return do.dense(do.mean(do.layer_norm(x, "norm"), 1), "head")


MODELS = {"bloodnet": bloodnet, "resnet18": resnet18, "vit-tiny": vit_tiny}


def load(
    spec: ModelSpec, weights: Weights, dtype: DTypeLike = np.float64, told: Told | None = None
) -> Callable[[Array], Array]:
    """Load the model with the given weights; it maps (batch, H, W, C) to logits (batch, classes).

    Args:
        told: is told of every operation.

    Raises:
        ArtifactError: the weights do not fit the model.
    """
    check_weights(spec, weights)
    do = Operations(weights, dtype, told)

    def forward(images: Array) -> Array:
        with np.errstate(all="ignore"):  # NaN and infinity go through on purpose
            return MODELS[spec.architecture](do, images.astype(dtype, copy=False), spec)

    return forward
