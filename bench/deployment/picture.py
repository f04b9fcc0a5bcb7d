"""The picture that goes with a deployment's sample requests."""

from __future__ import annotations

import io
import struct
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from assay.errors import missing

SIGNATURE, CHUNKS = b"\x89PNG\r\n\x1a\n", {b"IHDR", b"IDAT", b"IEND"}
HEADER_BYTES = 12
"""The bytes of a chunk besides its data: its length, its type and its checksum."""


def png_of(pixels: NDArray[np.uint8]) -> bytes:
    """Return a PNG of pixels (height, width, 1 or 3).

    Raises:
        NotInstalledError: Pillow is missing.
    """
    image = _pillow().fromarray(pixels if pixels.shape[-1] == 3 else pixels[..., 0])
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


def is_same_picture(expected: bytes, found: bytes) -> bool:
    """Return whether a PNG shows the same pixels and holds nothing else; another Pillow packs them into other bytes."""
    if expected == found:
        return True
    if len(found) > 2 * len(expected) + 1024 or not _only_pixels(found):
        return False
    pillow = _pillow()
    try:
        with pillow.open(io.BytesIO(expected)) as wanted, pillow.open(io.BytesIO(found), formats=["PNG"]) as given:
            same: bool = (wanted.size, wanted.mode) == (given.size, given.mode) and wanted.tobytes() == given.tobytes()
            return same
    except (OSError, ValueError, SyntaxError):  # Pillow raises these for a broken chunk
        return False


def _pillow() -> ModuleType:
    try:
        from PIL import Image  # noqa: PLC0415  of the extra 'images'
    except ModuleNotFoundError as error:
        raise missing("A picture beside a deployment's requests", error) from error
    return Image


def _only_pixels(content: bytes) -> bool:
    """Return whether these are the chunks of a plain PNG, up to the last byte."""
    place, kind = len(SIGNATURE), b""
    if not content.startswith(SIGNATURE):
        return False
    while kind != b"IEND" and place + HEADER_BYTES <= len(content):
        length, kind = struct.unpack_from(">I4s", content, place)
        if kind not in CHUNKS:
            return False
        place += HEADER_BYTES + length
    return kind == b"IEND" and place == len(content)
