"""The architectures in Keras (functional API, TensorFlow backend), in NHWC.

Layer names are the canonical module paths of `assay.train.architectures`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
import numpy as np
from keras import KerasTensor, layers, ops

from assay.errors import ArtifactError
from assay.spec import INPUT_NAME, ModelSpec
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
from assay.train.weights import LAYER_NORM_EPSILON, NORM_EPSILON, check_weights

KERAS_ROLES = {"scale": "gamma", "offset": "beta", "mean": "moving_mean", "variance": "moving_variance"}


def _conv_unit(x: KerasTensor, width: int, name: str, kernel: int = 3, stride: int = 1) -> KerasTensor:
    """Apply a convolution without bias, symmetric padding (Keras's own "same" is not, with a stride), and BatchNorm."""
    if stride == 1:
        x = layers.Conv2D(width, kernel, padding="same", use_bias=False, name=f"{name}.conv")(x)
    else:
        x = layers.ZeroPadding2D(kernel // 2)(x)
        x = layers.Conv2D(width, kernel, stride, padding="valid", use_bias=False, name=f"{name}.conv")(x)
    return layers.BatchNormalization(epsilon=NORM_EPSILON, momentum=0.9, name=f"{name}.norm")(x)


def bloodnet(x: KerasTensor, spec: ModelSpec) -> KerasTensor:
    """Return the logits (images, classes) of images (images, height, width, channels)."""
    for stage, width in enumerate(bloodnet_widths(spec), start=1):
        if stage > 1:
            x = layers.MaxPooling2D(2)(x)
        for unit in (1, 2):
            x = layers.ReLU()(_conv_unit(x, width, f"stage{stage}.unit{unit}"))
    return layers.Dense(spec.classes, name="head")(layers.GlobalAveragePooling2D()(x))


def residual_block(x: KerasTensor, width: int, stride: int, name: str) -> KerasTensor:
    """Add to x what two units make of it; x itself is projected where the block changes its shape."""
    shortcut = x
    if x.shape[-1] != width:
        shortcut = _conv_unit(x, width, f"{name}.shortcut", kernel=1, stride=stride)
    x = layers.ReLU()(_conv_unit(x, width, f"{name}.unit1", stride=stride))
    x = _conv_unit(x, width, f"{name}.unit2")
    return layers.ReLU()(layers.Add()([x, shortcut]))


def resnet18(x: KerasTensor, spec: ModelSpec) -> KerasTensor:
    """Return the logits (images, classes) of images (images, height, width, channels)."""
    widths = resnet18_widths(spec)
    x = layers.ReLU()(_conv_unit(x, widths[0], "stem", kernel=7, stride=2))
    # After a ReLU, padding with zeros is padding with minus infinity.
    x = layers.MaxPooling2D(3, 2)(layers.ZeroPadding2D(1)(x))
    for stage, width in enumerate(widths, start=1):
        for block in (1, 2):
            stride = 2 if stage > 1 and block == 1 else 1
            x = residual_block(x, width, stride, f"stage{stage}.block{block}")
    return layers.Dense(spec.classes, name="head")(layers.GlobalAveragePooling2D()(x))


@keras.saving.register_keras_serializable("assay")
class Position(layers.Layer):
    """Adds a learned vector to every token."""

    def build(self, input_shape: tuple[int | None, int, int]) -> None:
        self.position = self.add_weight(name="position", shape=input_shape[1:])

    def call(self, tokens: KerasTensor) -> KerasTensor:
        return tokens + self.position


def _encoder_layer(x: KerasTensor, width: int, hidden_width: int, name: str) -> KerasTensor:
    normalised = layers.LayerNormalization(epsilon=LAYER_NORM_EPSILON, name=f"{name}.norm1")(x)
    attention = layers.MultiHeadAttention(VIT_HEADS, width // VIT_HEADS, name=f"{name}.attention")
    x = layers.Add()([x, attention(normalised, normalised)])
    normalised = layers.LayerNormalization(epsilon=LAYER_NORM_EPSILON, name=f"{name}.norm2")(x)
    hidden = ops.gelu(layers.Dense(hidden_width, name=f"{name}.expand")(normalised), approximate=False)
    return layers.Add()([x, layers.Dense(width, name=f"{name}.contract")(hidden)])


def vit_tiny(x: KerasTensor, spec: ModelSpec) -> KerasTensor:
    """Return the logits (images, classes) of images (images, height, width, channels)."""
    edge = patch_size(spec)
    width, hidden_width = vit_widths(spec)
    x = layers.Conv2D(width, edge, edge, padding="valid", name="patch")(x)
    x = Position(name="tokens")(layers.Reshape((-1, width))(x))
    for layer in range(VIT_DEPTH):
        x = _encoder_layer(x, width, hidden_width, f"layers.{layer}")
    x = layers.LayerNormalization(epsilon=LAYER_NORM_EPSILON, name="norm")(x)
    return layers.Dense(spec.classes, name="head")(layers.GlobalAveragePooling1D()(x))


MODELS = {"bloodnet": bloodnet, "resnet18": resnet18, "vit-tiny": vit_tiny}


def build(spec: ModelSpec) -> keras.Model:
    """Build the model with meaningless weights; call `put_weights` next."""
    image = keras.Input(spec.image_shape, name=INPUT_NAME)
    return keras.Model(image, MODELS[spec.architecture](image, spec), name=spec.architecture)


def load(spec: ModelSpec, weights: Weights, dtype: str = "float32") -> keras.Model:
    """Load the model with the given weights; it maps (batch, H, W, C) to logits (batch, classes).

    Args:
        dtype: "float32", or "float64" for a reference.

    Raises:
        ArtifactError: the weights do not fit the model.
    """
    with _building_in(dtype):
        model = build(spec)
    put_weights(model, spec, weights)
    model.trainable = False
    return model


@contextmanager
def _building_in(dtype: str) -> Iterator[None]:
    """Let layers and inputs that are made meanwhile have a type."""
    floatx, policy = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx(dtype)
    keras.config.set_dtype_policy(dtype)
    try:
        yield
    finally:
        keras.config.set_floatx(floatx)
        keras.config.set_dtype_policy(policy)


def variables_by_name(model: keras.Model) -> dict[str, keras.Variable]:
    """Return a model's variables by "layer.variable", and the attention's parts by "layer.part.variable"."""
    names = ((variable.path.replace("/", "."), variable) for variable in model.variables)
    return {name.replace("attention_output", "out").removeprefix("tokens."): v for name, v in names}


def variable_name(parameter: Parameter) -> str:
    """Return the name of a parameter in `variables_by_name`."""
    return f"{parameter.module}.{KERAS_ROLES.get(parameter.role, parameter.role)}".lstrip(".")


def put_weights(model: keras.Model, spec: ModelSpec, weights: Weights) -> None:
    """Copy neutral weights into a model; attention kernels only change their shape.

    Raises:
        ArtifactError: the weights do not fit.
    """
    check_weights(spec, weights)
    variables = variables_by_name(model)
    for parameter in parameters(spec):
        variable = variables[variable_name(parameter)]
        variable.assign(weights[parameter.name].reshape(variable.shape))


def get_weights(model: keras.Model, spec: ModelSpec) -> Weights:
    """Copy a model's weights out as neutral ones."""
    variables = variables_by_name(model)
    missing = [p.name for p in parameters(spec) if variable_name(p) not in variables]
    if missing:
        raise ArtifactError(f"The Keras model has no variable for '{missing[0]}'")
    return {
        parameter.name: np.array(variables[variable_name(parameter)], np.float32).reshape(parameter.shape)
        for parameter in parameters(spec)
    }
