"""The model that a location stands for: made by a user's function, or by a library that knows it by name."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from assay.foreign import said_by
from assay.registry import LIBRARIES
from assay.train.brought.model import Declared, Location
from assay.train.brought.source import built, explained, seed_all

RANDOM = "random, drawn with seed 0"


@dataclass(frozen=True)
class MadeModel:
    """A model as an object of its framework.

    Attributes:
        usual: the inputs that its library's preprocessing makes, which the user may replace; empty where nobody knows.
        sizes: usual sizes of the open dimensions in `usual`, by name.
        weights: where its weights come from; "" where the user's own code or file says it.
    """

    model: object
    usual: tuple[Declared, ...] = ()
    sizes: Mapping[str, int] = field(default_factory=dict)
    weights: str = ""


def made(location: Location) -> MadeModel:
    """Run a user's function, or have a library make the model of that name.

    Raises:
        InputError: it fails, or there is no such model.
        NotInstalledError: the library is missing, or something that the file imports.
    """
    if not location.library:
        return MadeModel(built(location.path, location.function, location.module))
    entry = LIBRARIES[location.library]
    entry.check_installed(str(location))
    with explained(location.path, "while it is made"):
        importlib.import_module(entry.packages[-1])
        make = entry.load()
        seed_all(0)
        found = make(location)
    assert isinstance(found, MadeModel)
    return found


def with_weights(stored: Callable[[], object], random: Callable[[], object]) -> tuple[object, str]:
    """Return a model with the weights that its library has for it, where this machine has them; with random ones
    otherwise. The text says which, and why.

    Raises:
        Exception: whatever the library raises where it cannot make the model at all.
    """
    try:
        return stored(), "its library's own"
    except Exception as error:  # noqa: BLE001  a download that is not possible, in whatever words; `random` fails if it was another
        seed_all(0)
        return random(), f"{RANDOM}; its own are not on this machine ({said_by(error)[:120]})"


def images(model: object, size: tuple[int, int], weights: str, channels: int = 3) -> MadeModel:
    """Return a PyTorch model of images, with its usual height and width, which --dimension may change."""
    usual = Declared(name="image", dtype="float32", shape=("batch", channels, "height", "width"))
    return MadeModel(model, (usual,), dict(zip(("height", "width"), size, strict=True)), weights)
