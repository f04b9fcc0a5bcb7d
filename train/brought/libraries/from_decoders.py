"""Causal language models of transformers as two models without a state: prefill, from a prompt to the logits of its
last token and a cache, and decode, from one more token and the cache to the same. The cache is plain tensors, two for
each layer: keys and values of shape (batch, heads, tokens, head size), with as many heads as the layer keeps.

Greedy decoding as transformers' `generate` does it makes the same two kinds of calls.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from assay.errors import InputError
from assay.train.brought.libraries.from_transformers import model_of
from assay.train.brought.libraries.made import MadeModel
from assay.train.brought.model import Declared, Location

USUAL_TOKENS = 64
CACHE_NAMES = ("cache", "past_key_values")
"""The argument and output that hold the cache: the name in transformers 5.20, and the one before."""


def make_prefill(location: Location) -> MadeModel:
    """Make the prefill of `hf-prefill:NAME`; see `assay.train.brought.libraries.from_transformers`.

    Raises:
        InputError: there is no such model, or it is no causal language model whose layers all see every token.
        Exception: whatever transformers raises.
    """
    model, weights = _causal(location)
    return MadeModel(Prefill(model), (_ids("tokens"),), {"tokens": USUAL_TOKENS}, weights)


def make_decode(location: Location) -> MadeModel:
    """Make one step of decoding, `hf-decode:NAME`; errors as of `make_prefill`."""
    model, weights = _causal(location)
    layers, (heads, size) = len(_cache_of(model).layers), _shape_of_cache(model)
    declared = [
        Declared(name=name, dtype="float32", shape=("batch", heads, "tokens", size)) for name in _names("past", layers)
    ]
    return MadeModel(Decode(model), (_ids(1), *declared), {"tokens": USUAL_TOKENS}, weights)


class Prefill(nn.Module):  # type: ignore[misc, unused-ignore]
    """From token ids (batch, tokens) to logits (batch, 1, vocabulary) and the cache."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model, self._name = model, _name_of_cache(model)

    def forward(self, input_ids: Tensor) -> dict[str, Tensor]:
        """Return the logits of the last token, and the keys and values of every layer, by name."""
        cache = _cache_of(self.model)
        found = self.model(input_ids=input_ids, use_cache=True, logits_to_keep=1, **{self._name: cache})
        return _named(found.logits, _tensors(cache))


class Decode(nn.Module):  # type: ignore[misc, unused-ignore]
    """From one token (batch, 1) and the cache of all before it to logits (batch, 1, vocabulary) and a longer cache."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model, self._name = model, _name_of_cache(model)

    def forward(self, input_ids: Tensor, *past: Tensor) -> dict[str, Tensor]:
        """Return the logits of the token, and the keys and values of every layer, by name.

        Args:
            past: keys and values of every layer, (batch, heads, tokens, width of a head), in turn.
        """
        cache = _cache_of(self.model)
        for layer, keys, values in zip(cache.layers, past[::2], past[1::2], strict=True):
            layer.keys, layer.values, layer.device, layer.is_initialized = keys, values, keys.device, True
        found = self.model(input_ids=input_ids, use_cache=True, **{self._name: cache})
        return _named(found.logits, _tensors(cache))

    def in_place(self, input_ids: Tensor, position: Tensor, *buffers: Tensor) -> Tensor:
        """Return the logits, from a cache of fixed size that is written in place, as transformers' static cache is.

        Args:
            position: number of tokens in the cache, (1,).
            buffers: keys and values of each layer, (batch, heads, room, head size).
        """
        transformers: Any = importlib.import_module("transformers")
        cache = transformers.StaticCache(config=self.model.config, max_cache_len=buffers[0].shape[2])
        for layer, keys, values in zip(cache.layers, buffers[::2], buffers[1::2], strict=True):
            layer.keys, layer.values, layer.device = keys, values, keys.device
            layer.cumulative_length, layer.is_initialized = position.clone(), True
        logits: Tensor = self.model(input_ids=input_ids, use_cache=True, **{self._name: cache}).logits
        return logits


def _ids(tokens: int | str) -> Declared:
    return Declared(name="input_ids", dtype="int64", shape=("batch", tokens))


def _causal(location: Location) -> tuple[Any, str]:
    """
    Raises:
        InputError: it is no causal language model, or a layer of it sees part of the tokens only.
    """
    model, weights = model_of(location, "AutoModelForCausalLM")
    taken = inspect.signature(model.forward).parameters
    if "logits_to_keep" not in taken or not set(CACHE_NAMES) & set(taken):
        raise InputError(
            f"{location} is no causal language model",
            expected="a model with a cache, such as GPT-2 or Llama",
            found=type(model).__name__,
        )
    cache = _cache_of(model)
    if any(cache.is_sliding) or any(not hasattr(layer, "keys") for layer in cache.layers):
        raise InputError(
            f"{location} has layers that keep only part of the tokens",
            expected="attention over all tokens in every layer",
            found=", ".join(dict.fromkeys(type(layer).__name__ for layer in cache.layers)),
        )
    return model, weights


def _cache_of(model: Any) -> Any:
    """Return an empty cache that grows."""
    return importlib.import_module("transformers").DynamicCache(config=model.config)


def _shape_of_cache(model: Any) -> tuple[int, int]:
    """Return the heads and the head size that a layer keeps, by a call with one token."""
    with torch.no_grad():
        keys = Prefill(model.eval())(torch.zeros(1, 1, dtype=torch.int64))["present_key_0"]
    return int(keys.shape[1]), int(keys.shape[3])


def _name_of_cache(model: Any) -> str:
    taken = inspect.signature(model.forward).parameters
    return next(name for name in CACHE_NAMES if name in taken)


def _tensors(cache: Any) -> list[Tensor]:
    return [tensor for layer in cache.layers for tensor in (layer.keys, layer.values)]


def _names(beginning: str, layers: int) -> list[str]:
    return [f"{beginning}_{kind}_{layer}" for layer in range(layers) for kind in ("key", "value")]


def _named(logits: Tensor, cache: Sequence[Tensor]) -> dict[str, Tensor]:
    return {"logits": logits, **dict(zip(_names("present", len(cache) // 2), cache, strict=True))}
