"""The model that a location stands for: made by a user's function, or by a library that knows it by name."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assay.errors import InputError
from assay.files.texts import read_text
from assay.foreign import said_by
from assay.registry import LIBRARIES
from assay.train.brought.model import Declared, Location
from assay.train.brought.source import built, explained, seed_all

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

Read = Callable[[Path], Mapping[str, Any]]
PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")
TEXTS = (".txt",)
RANDOM = "random, drawn with seed 0"


@dataclass(frozen=True)
class MadeModel:
    """A model as an object of its framework.

    Attributes:
        usual: the inputs that its library's preprocessing makes, which the user may replace; empty where nobody knows.
        sizes: usual sizes of the open dimensions in `usual`, by name.
        weights: where its weights come from; "" where the user's own code or file says it.
        masks: inputs that say by 1 and 0 which positions count, of which one has to: what a model gives where none
            does has no meaning, and each exporter writes something else for it.
        read: turns a folder of images, or a file with one text a line, into inputs by name, with the library's own
            processor; None where it has none.
    """

    model: object
    usual: tuple[Declared, ...] = ()
    sizes: Mapping[str, int] = field(default_factory=dict)
    weights: str = ""
    read: Read | None = None
    masks: tuple[str, ...] = ()


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


def images(
    model: object, size: tuple[int, int], weights: str, channels: int = 3, read: Read | None = None
) -> MadeModel:
    """Return a PyTorch model of images, with its usual height and width, which --dimension may change."""
    usual = Declared(name="image", dtype="float32", shape=("batch", channels, "height", "width"))
    return MadeModel(model, (usual,), dict(zip(("height", "width"), size, strict=True)), weights, read)


def pictures(folder: Path) -> list[Picture]:
    """Open the images of a folder in RGB, in the order of their names.

    Raises:
        InputError: one cannot be opened.
        NotInstalledError: Pillow is missing.
    """
    image = importlib.import_module("PIL.Image")
    found = []
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in PICTURES:
            continue
        try:
            with image.open(path) as opened:
                found.append(opened.convert("RGB"))
        except Exception as error:  # Pillow raises many things for a damaged file
            raise InputError(f"Cannot open the image {path}", found=said_by(error)) from error
    return found


def lines(path: Path) -> list[str]:
    """Return the texts of a file, one a line."""
    return [one for one in read_text(path).splitlines() if one.strip()]
