"""Arguments and inputs for Keras' layers, drawn from the signatures of their constructors, as Python expressions.

Keras publishes its layers, and no table of samples. An argument's name says what it may be throughout Keras, so that a
new layer needs no entry here unless one of its arguments has a new name.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from inspect import Parameter

Shape = tuple[int, ...]
Arguments = dict[str, str]
"""Expressions by argument."""
MOST_DRAWN = 12
"""Sets of arguments of a layer."""

NEEDED: Mapping[str, tuple[str, ...]] = {
    "units": ("3",),
    "filters": ("4",),
    "kernel_size": ("3", "2"),
    "pool_size": ("2",),
    "output_size": ("2", "3"),
    "rate": ("0.3",),
    "stddev": ("0.3",),
    "factor": ("0.3",),
    "height_factor": ("0.3",),
    "width_factor": ("0.3",),
    "height": ("5",),
    "width": ("4",),
    "dims": ("(2, 1)", "(3, 1, 2)"),
    "n": ("3",),
    "target_shape": ("(-1,)", "(-1, 2)"),
    "axes": ("1", "2", "(1, 2)"),
    "equation": ("'abc,cd->abd'",),
    "output_shape": ("(None, 5)",),
    "input_dim": ("10",),
    "output_dim": ("4",),
    "num_heads": ("2",),
    "key_dim": ("4",),
    "head_dim": ("4",),
    "num_query_heads": ("4",),
    "num_key_value_heads": ("2",),
    "layer": ("keras.layers.LSTM(3, return_sequences=True)", "keras.layers.Dense(3)", "keras.layers.Conv2D(4, 3)"),
    "cell": ("keras.layers.GRUCell(3)", "keras.layers.LSTMCell(3)"),
    "cells": ("[keras.layers.LSTMCell(3), keras.layers.GRUCell(3)]",),
    "function": ("lambda x: 2 * x + 1",),
    "activation": ("'relu'", "'gelu'", "'softmax'", "'softplus'"),
    "scale": ("2.5",),
    "layers": ("[keras.layers.Rescaling(2.5), keras.layers.CenterCrop(5, 4)]",),
    "max_number": ("3",),
    "num_bins": ("8",),
}
"""Arguments without a default: the first is taken as long as the layer takes it, the others as well."""
ALWAYS: Mapping[str, str] = {
    "bin_boundaries": "[-0.5, 0.1, 0.7]",
    "vocabulary": "[1, 2, 3]",
    "num_tokens": "6",
    "mean": "0.3",
    "variance": "2.5",
    "fft_length": "256",
}
"""Arguments that have a default with which a layer does nothing until it has seen data, or takes longer inputs."""
VARIED: Mapping[str, tuple[str, ...]] = {
    "padding": ("'same'", "'valid'", "2"),
    "strides": ("2",),
    "dilation_rate": ("2",),
    "groups": ("2", "1", "-1"),
    "depth_multiplier": ("2",),
    "pool_size": ("3",),
    "size": ("3",),
    "cropping": ("2",),
    "activation": ("'relu'", "'gelu'", "'elu'", "'softplus'", "'hard_sigmoid'", "'mish'", "'softmax'"),
    "recurrent_activation": ("'hard_sigmoid'",),
    "data_format": ("'channels_first'",),
    "axis": ("1", "-2", "(1, 2)"),
    "epsilon": ("0.1",),
    "interpolation": ("'bilinear'", "'nearest'", "'bicubic'", "'lanczos3'"),
    "mask_value": ("0.5", "2"),
    "alpha": ("0.4",),
    "negative_slope": ("0.4",),
    "max_value": ("0.8",),
    "threshold": ("0.4",),
    "shared_axes": ("[1]",),
    "merge_mode": ("'sum'", "'mul'", "'ave'"),
    "output_mode": ("'one_hot'", "'multi_hot'", "'count'"),
    "score_mode": ("'concat'",),
    "output_padding": ("1",),
    "offset": ("0.7",),
    "mode": ("'magnitude'", "'phase'", "'real'"),
    "logit_soft_cap": ("2.0",),
    "sliding_window": ("2",),
}
"""Other values of arguments that have a default; a switch is turned over."""
LEFT = {
    "trainable", "dynamic", "autocast", "sparse", "ragged", "stateful", "force_generator", "flash_attention",
}  # fmt: skip
"""Switches that change nothing in a call, or that give results that are not arrays."""
WHOLE = {"input_dim", "num_tokens", "num_bins", "vocabulary"} - {"bin_boundaries"}
"""Arguments of layers that take whole numbers."""


@dataclass(frozen=True)
class LayerInputs:
    """Inputs of a layer, and how it is called with them.

    Attributes:
        call: an expression of `layer` and x0, x1, ...
        shapes: their shapes with the batch.
        whole: whether they are whole numbers from 0 to 5.
    """

    call: str
    shapes: tuple[Shape, ...]
    whole: bool = False


ONE = tuple(
    LayerInputs("layer(x0)", (shape,))
    for shape in ((3, 8, 9, 2), (3, 7, 4), (3, 6), (3, 4, 5, 6, 2), (3, 2, 4, 5, 6, 2), (2, 600))
)
INTEGERS = (LayerInputs("layer(x0)", ((3, 6),), whole=True), LayerInputs("layer(x0)", ((3,),), whole=True))
PAIRS = (
    *(LayerInputs("layer([x0, x1])", some) for some in (((3, 5, 4), (3, 7, 4)), ((3, 5, 4), (3, 5, 4)))),
    LayerInputs("layer([x0, x1])", ((3,), (3,)), whole=True),
    LayerInputs("layer(x0, x1)", ((3, 5, 4), (3, 7, 4))),
    LayerInputs("layer(x0, [x1])", ((3, 4), (3, 3))),
    LayerInputs("layer(x0, [x1, x2])", ((3, 4), (3, 3), (3, 3))),
    LayerInputs("layer(x0, [[x1, x2], [x3]])", ((3, 4), (3, 3), (3, 3), (3, 3))),
)


def inputs_for(parameters: Mapping[str, Parameter]) -> Sequence[LayerInputs]:
    """Return the inputs that a layer may take, those that its arguments speak for first."""
    is_whole = bool(WHOLE & parameters.keys()) and "bin_boundaries" not in parameters
    return (*INTEGERS, *PAIRS, *ONE) if is_whole else (*ONE, *PAIRS, *INTEGERS)


def drawn_arguments(parameters: Mapping[str, Parameter], seed: str) -> Iterator[Arguments]:
    """Yield sets of arguments: as few as possible with each expression for those that are needed, then others, of which
    one or two differ.

    Args:
        parameters: those of the layer's constructor, by name.
        seed: the same gives the same sets.
    """
    needed = [name for name, one in parameters.items() if _is_needed(one)]
    plain: Arguments = {name: text for name, text in ALWAYS.items() if name in parameters}
    choices = {name: NEEDED.get(name, ()) for name in needed}
    if not all(choices.values()):
        return
    first = plain | {name: some[0] for name, some in choices.items()}
    found = [first, *(first | {name: text} for name, some in choices.items() for text in some[1:])]
    draw = random.Random(seed)  # noqa: S311  arguments, not secrets
    others = [(name, text) for name, one in parameters.items() if name not in first for text in _others(name, one)]
    draw.shuffle(others)
    found += [first | {name: text} for name, text in others]
    found += [first | dict(draw.sample(others, 2)) for _ in range(MOST_DRAWN if len(others) > 1 else 0)]
    yield from list({str(sorted(one.items())): one for one in found}.values())


def _is_needed(one: Parameter) -> bool:
    return one.default is one.empty and one.kind not in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)


def _others(name: str, one: Parameter) -> Iterator[str]:
    """Yield expressions for an argument with a default, other than that."""
    if isinstance(one.default, bool) and name not in LEFT:
        yield str(not one.default)
    else:
        yield from (text for text in VARIED.get(name, ()) if text != repr(one.default))
