"""Models of Hugging Face's transformers: from a folder, from its cache by their name on the hub, or of a type by its
standard configuration. Their code is the library's own, and their weights are safetensors: nothing else is loaded.
"""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path
from typing import Any

import torch

from assay.errors import InputError, unknown_name
from assay.files.arrays import most_bytes
from assay.train.brought.libraries.from_torchvision import import_torchvision
from assay.train.brought.libraries.made import RANDOM, MadeModel, Read, lines, pictures, with_weights
from assay.train.brought.model import Declared, Dimension, Location

USUAL_TOKENS, USUAL_SAMPLES = 64, 16_000
MASK = "attention_mask"
OWN_CODE_ALONE = {"trust_remote_code": False}


def make(location: Location) -> MadeModel:
    """Make `hf:NAME`, or the model of a folder, as the class that its configuration names.

    Raises:
        InputError: there is no such model here, or it does not fit into memory.
        Exception: whatever transformers raises.
    """
    model, weights = model_of(location)
    model.config.use_cache = False  # a cache is no output of one call
    usual, sizes = _usual(model, model.config)
    place = location.function or str(location.path)
    masks = tuple(one.name for one in usual if one.name == MASK)
    reader = _reader(importlib.import_module("transformers"), model, place)
    return MadeModel(model, usual, sizes, weights, reader, masks)


def model_of(location: Location, kind: str = "") -> tuple[Any, str]:
    """Return a model, and where its weights are from.

    Args:
        kind: the Auto class that makes it; "" for the class that its configuration names.

    Raises:
        InputError, Exception: as of `make`.
    """
    _import_vision()
    transformers: Any = importlib.import_module("transformers")
    transformers.logging.set_verbosity_error()
    place = location.function or str(location.path)
    config, stored = _configuration(transformers, place)
    named = (getattr(config, "architectures", None) or [""])[0]
    family = getattr(transformers, kind or named, transformers.AutoModel)
    build = family.from_config if kind or family is transformers.AutoModel else family

    def read() -> object:
        return family.from_pretrained(place, config=config, use_safetensors=True, **OWN_CODE_ALONE)

    _check_size(build, config, str(location))
    if location.function and not stored:
        model, weights = build(config), f"{RANDOM}: '{place}' is a type of model, and so its standard configuration"
    elif not location.function and not list(Path(place).glob("*.safetensors*")):
        model, weights = build(config), f"{RANDOM}: the folder has no .safetensors"
    elif not location.function:
        model, weights = read(), "the folder's own"
    else:
        model, weights = with_weights(read, lambda: build(config))
    return model, weights


def _reader(transformers: Any, model: Any, place: str) -> Read:
    """Return what makes inputs of images or texts with the processor that lies beside the model."""

    def read(path: Path) -> dict[str, Any]:
        if path.is_dir():
            process = transformers.AutoImageProcessor.from_pretrained(place, **OWN_CODE_ALONE)
            found = process(images=pictures(path), return_tensors="np")
        else:
            process = transformers.AutoTokenizer.from_pretrained(place, **OWN_CODE_ALONE)
            found = process(lines(path), padding=True, truncation=True, return_tensors="np")
        taken = inspect.signature(model.forward).parameters
        return {name: array for name, array in found.items() if name in taken}

    return read


def _import_vision() -> None:
    """Import torchvision where it is: transformers would fail on one whose operators do not load."""
    if importlib.util.find_spec("torchvision"):
        import_torchvision()


def _configuration(transformers: Any, place: str) -> tuple[Any, bool]:
    """Return the configuration, and whether a folder or the hub's cache has it."""
    try:
        return transformers.AutoConfig.from_pretrained(place, **OWN_CODE_ALONE), True
    except (OSError, ValueError) as error:
        if Path(place).is_dir():
            raise
        known = transformers.models.auto.configuration_auto.CONFIG_MAPPING
        if place in known:
            return known[place](), False
        if "/" in place:
            raise InputError(
                f"hf:{place} is not on this machine",
                expected="a folder, a name that the hub's cache has, or a type of model such as distilbert",
                remedy="Download it first: hf download " + place,
            ) from error
        raise unknown_name("type of model in transformers", place, list(known)) from error


def _check_size(build: Any, config: Any, what: str) -> None:
    """
    Raises:
        InputError: its weights alone do not fit into memory.
    """
    with torch.device("meta"):
        needed = sum(one.numel() * one.element_size() for one in build(config).parameters())
    if needed > most_bytes(1):
        raise InputError(
            f"{what} does not fit into memory", expected=f"{most_bytes(1):,} bytes at most", found=f"{needed:,} bytes"
        )


def _usual(model: Any, config: Any) -> tuple[tuple[Declared, ...], dict[str, int]]:
    """Return the inputs that the model's processor makes, and their usual sizes."""
    arguments = inspect.signature(model.forward).parameters
    main, text = model.main_input_name, config.get_text_config()
    found: dict[str, tuple[str, tuple[Dimension, ...]]] = {}
    sizes: dict[str, int] = {}
    if main == "input_ids":
        found["input_ids"] = ("int64", ("batch", "tokens"))
        if MASK in arguments:
            found[MASK] = ("int64", ("batch", "tokens"))
        sizes["tokens"] = min(USUAL_TOKENS, getattr(text, "max_position_embeddings", None) or USUAL_TOKENS)
    if main == "pixel_values" or ("pixel_values" in arguments and hasattr(config, "vision_config")):
        seeing = getattr(config, "vision_config", config)
        size = getattr(seeing, "image_size", 224)
        sizes["height"], sizes["width"] = size if isinstance(size, list | tuple) else (size, size)
        found["pixel_values"] = ("float32", ("batch", getattr(seeing, "num_channels", 3), "height", "width"))
    if main == "input_features":
        frames = 2 * getattr(config, "max_source_positions", 1500)
        found["input_features"] = ("float32", ("batch", getattr(config, "num_mel_bins", 80), frames))
    if main == "input_values":
        found["input_values"] = ("float32", _heard(config))
        sizes["samples"] = USUAL_SAMPLES
    if getattr(config, "is_encoder_decoder", False) and "decoder_input_ids" in arguments:
        found["decoder_input_ids"] = ("int64", ("batch", "decoder_tokens"))
        most = getattr(config, "max_target_positions", getattr(text, "max_position_embeddings", None))
        sizes["decoder_tokens"] = min(USUAL_TOKENS, most or USUAL_TOKENS)
    return tuple(Declared(name=name, dtype=dtype, shape=shape) for name, (dtype, shape) in found.items()), sizes


def _heard(config: Any) -> tuple[Dimension, ...]:
    """Return the shape of sound: a spectrogram where the model takes one, else samples."""
    if hasattr(config, "max_length") and hasattr(config, "num_mel_bins"):
        return ("batch", config.max_length, config.num_mel_bins)
    return ("batch", "samples")
