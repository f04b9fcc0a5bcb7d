"""The architectures in Flax NNX, in NHWC.

Attribute paths are the canonical ones of `assay.train.architectures`. This file also runs in the tool environment of
`export/routes/from_jax2tf.py`, with an older Flax, and imports nothing that is missing there.
"""

from __future__ import annotations

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from assay.spec import ModelSpec
from assay.train.architectures import (
    VIT_DEPTH,
    VIT_HEADS,
    Parameter,
    Weights,
    bloodnet_widths,
    parameters,
    patch_size,
    resnet18_widths,
    vit_widths,
)
from assay.train.weights import LAYER_NORM_EPSILON, NORM_EPSILON, check_weights, fold_batchnorm

FLAX_ROLES = {"offset": "bias", "variance": "var"}


class ConvUnit(nnx.Module):
    """Convolution without bias, symmetric padding, BatchNorm; if folded, a convolution with bias."""

    def __init__(
        self, width_in: int, width_out: int, kernel: int = 3, stride: int = 1, *, folded: bool, rngs: nnx.Rngs
    ) -> None:
        edge = kernel // 2
        self.conv = nnx.Conv(
            width_in,
            width_out,
            kernel_size=(kernel, kernel),
            strides=(stride, stride),
            padding=((edge, edge), (edge, edge)),
            use_bias=folded,
            rngs=rngs,
        )
        self.folded = folded
        if not folded:
            self.norm = nnx.BatchNorm(width_out, momentum=0.9, epsilon=NORM_EPSILON, use_fast_variance=False, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.conv(x) if self.folded else self.norm(self.conv(x))


class BloodStage(nnx.Module):
    def __init__(self, width_in: int, width_out: int, *, folded: bool, rngs: nnx.Rngs) -> None:
        self.unit1 = ConvUnit(width_in, width_out, folded=folded, rngs=rngs)
        self.unit2 = ConvUnit(width_out, width_out, folded=folded, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return nnx.relu(self.unit2(nnx.relu(self.unit1(x))))


class BloodNet(nnx.Module):
    def __init__(self, spec: ModelSpec, *, folded: bool, rngs: nnx.Rngs) -> None:
        first, second, third = bloodnet_widths(spec)
        self.stage1 = BloodStage(spec.channels, first, folded=folded, rngs=rngs)
        self.stage2 = BloodStage(first, second, folded=folded, rngs=rngs)
        self.stage3 = BloodStage(second, third, folded=folded, rngs=rngs)
        self.head = nnx.Linear(third, spec.classes, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        x = nnx.max_pool(self.stage1(x), window_shape=(2, 2), strides=(2, 2))
        x = nnx.max_pool(self.stage2(x), window_shape=(2, 2), strides=(2, 2))
        return self.head(self.stage3(x).mean(axis=(1, 2)))


class ResidualBlock(nnx.Module):
    def __init__(self, width_in: int, width_out: int, stride: int, *, folded: bool, rngs: nnx.Rngs) -> None:
        self.unit1 = ConvUnit(width_in, width_out, stride=stride, folded=folded, rngs=rngs)
        self.unit2 = ConvUnit(width_out, width_out, folded=folded, rngs=rngs)
        self.projected = width_in != width_out
        if self.projected:
            self.shortcut = ConvUnit(width_in, width_out, kernel=1, stride=stride, folded=folded, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        shortcut = self.shortcut(x) if self.projected else x
        return nnx.relu(self.unit2(nnx.relu(self.unit1(x))) + shortcut)


class ResidualStage(nnx.Module):
    def __init__(self, width_in: int, width_out: int, stride: int, *, folded: bool, rngs: nnx.Rngs) -> None:
        self.block1 = ResidualBlock(width_in, width_out, stride, folded=folded, rngs=rngs)
        self.block2 = ResidualBlock(width_out, width_out, 1, folded=folded, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.block2(self.block1(x))


class ResNet18(nnx.Module):
    def __init__(self, spec: ModelSpec, *, folded: bool, rngs: nnx.Rngs) -> None:
        first, second, third, fourth = resnet18_widths(spec)
        self.stem = ConvUnit(spec.channels, first, kernel=7, stride=2, folded=folded, rngs=rngs)
        self.stage1 = ResidualStage(first, first, 1, folded=folded, rngs=rngs)
        self.stage2 = ResidualStage(first, second, 2, folded=folded, rngs=rngs)
        self.stage3 = ResidualStage(second, third, 2, folded=folded, rngs=rngs)
        self.stage4 = ResidualStage(third, fourth, 2, folded=folded, rngs=rngs)
        self.head = nnx.Linear(fourth, spec.classes, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        x = nnx.relu(self.stem(x))
        # After a ReLU, padding with zeros is padding with minus infinity.
        x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
        x = nnx.max_pool(x, window_shape=(3, 3), strides=(2, 2))
        x = self.stage4(self.stage3(self.stage2(self.stage1(x))))
        return self.head(x.mean(axis=(1, 2)))


class EncoderLayer(nnx.Module):
    def __init__(self, width: int, hidden: int, rngs: nnx.Rngs) -> None:
        self.norm1 = nnx.LayerNorm(width, epsilon=LAYER_NORM_EPSILON, use_fast_variance=False, rngs=rngs)
        self.attention = nnx.MultiHeadAttention(
            num_heads=VIT_HEADS, in_features=width, qkv_features=width, decode=False, rngs=rngs
        )
        self.norm2 = nnx.LayerNorm(width, epsilon=LAYER_NORM_EPSILON, use_fast_variance=False, rngs=rngs)
        self.expand = nnx.Linear(width, hidden, rngs=rngs)
        self.contract = nnx.Linear(hidden, width, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        x = x + self.attention(self.norm1(x))
        return x + self.contract(nnx.gelu(self.expand(self.norm2(x)), approximate=False))


class VitTiny(nnx.Module):
    def __init__(self, spec: ModelSpec, *, folded: bool, rngs: nnx.Rngs) -> None:
        del folded  # there is no BatchNorm in it
        edge = patch_size(spec)
        width, hidden = vit_widths(spec)
        self.patch = nnx.Conv(
            spec.channels,
            width,
            kernel_size=(edge, edge),
            strides=(edge, edge),
            padding="VALID",
            rngs=rngs,
        )
        self.position = nnx.Param(jnp.zeros(((spec.size // edge) ** 2, width)))
        self.layers = nnx.Sequential(*(EncoderLayer(width, hidden, rngs) for _ in range(VIT_DEPTH)))
        self.norm = nnx.LayerNorm(width, epsilon=LAYER_NORM_EPSILON, use_fast_variance=False, rngs=rngs)
        self.head = nnx.Linear(width, spec.classes, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        patches = self.patch(x)
        tokens = patches.reshape(patches.shape[0], -1, patches.shape[-1]) + self.position
        return self.head(self.norm(self.layers(tokens)).mean(axis=1))


MODELS = {"bloodnet": BloodNet, "resnet18": ResNet18, "vit-tiny": VitTiny}


def build(spec: ModelSpec, *, folded: bool = False) -> nnx.Module:
    """Build the model with meaningless weights; call `put_weights` next."""
    return MODELS[spec.architecture](spec, folded=folded, rngs=nnx.Rngs(0))


def load(spec: ModelSpec, weights: Weights, *, folded: bool = False) -> nnx.Module:
    """Load the model in evaluation mode with the given weights; it maps (batch, H, W, C) to logits (batch, classes).

    Args:
        folded: whether to build it without BatchNorm, folding the given weights.

    Raises:
        ArtifactError: the weights do not fit the model.
    """
    check_weights(spec, weights)
    model = nnx.eval_shape(lambda: build(spec, folded=folded))  # without drawing initial weights
    put_weights(model, spec, fold_batchnorm(spec, weights) if folded else weights)
    model.eval()
    return model


def variables_by_name(model: nnx.Module, spec: ModelSpec) -> Iterator[tuple[str, nnx.Variable]]:
    """Iterate over every array of a model with its canonical name."""
    to_canonical = {flax_name(parameter): parameter.name for parameter in parameters(spec)}
    for path, variable in nnx.iter_graph(model):
        if isinstance(variable, nnx.Param | nnx.BatchStat):
            name = ".".join(str(part) for part in path).replace("layers.layers.", "layers.")
            yield to_canonical.get(name, name), variable


def flax_name(parameter: Parameter) -> str:
    """Return the attribute path of a parameter."""
    return f"{parameter.module}.{FLAX_ROLES.get(parameter.role, parameter.role)}".lstrip(".")


def put_weights(model: nnx.Module, spec: ModelSpec, weights: Weights) -> None:
    """Copy neutral weights into a model; attention kernels only change their shape."""
    for name, variable in variables_by_name(model, spec):
        array = jnp.asarray(weights[name].reshape(variable.shape))
        if hasattr(variable, "set_value"):
            variable.set_value(array)
        else:  # Flax 0.11, in the tool environment
            variable.value = array


def get_weights(model: nnx.Module, spec: ModelSpec) -> Weights:
    """Copy a model's weights out as neutral ones."""
    shapes = {parameter.name: parameter.shape for parameter in parameters(spec)}
    found = dict(variables_by_name(model, spec))
    return {name: np.array(found[name], np.float32).reshape(shape) for name, shape in shapes.items()}
