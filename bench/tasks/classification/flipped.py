"""The images that an audit's subjects classify differently, as small pictures."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from assay.bench.auditing.runs import Inputs
from assay.files.arrays import map_array
from assay.numerics.classification.measured import Flip
from assay.numerics.classification.pictured import MOST_PICTURES, FlippedImage
from assay.records.audit import Comparison

PICTURE_SIDE_PX = 96
"""Larger images are made smaller: a picture only has to show which image it is, and the record stays small enough to
mail.
"""


def flipped_images(
    comparisons: Sequence[Comparison], sets: Sequence[Inputs], places: Mapping[str, NDArray[np.int64]]
) -> list[FlippedImage]:
    """Return the images, with pictures, that any subject classifies unlike the reference; at most `MOST_PICTURES`.

    Args:
        places: by set of inputs, the places of its images (or of their originals) in the stored split.
    """
    paths = {one.name: one.path for one in sets}
    flips: dict[tuple[str, int], dict[str, Flip]] = {}
    for one in comparisons:
        for flip in one.measured.classes.flips if one.measured and one.measured.classes else ():
            flips.setdefault((one.inputs, flip.image), {}).setdefault(one.subject, flip)
    order = {one.name: number for number, one in enumerate(sets)}
    kept = sorted(flips, key=lambda key: (order[key[0]], key[1]))[:MOST_PICTURES]
    return [_flipped(name, image, flips[name, image], paths[name], places.get(name)) for name, image in kept]


def _flipped(
    name: str, image: int, flips: Mapping[str, Flip], path: Path, places: NDArray[np.int64] | None
) -> FlippedImage:
    first = next(iter(flips.values()))
    return FlippedImage(
        inputs=name,
        image=image,
        split_image=None if places is None else int(places[image]),
        label=first.label,
        reference_class=first.reference_class,
        reference_margin=first.reference_margin,
        classes={subject: flip.candidate_class for subject, flip in flips.items()},
        margins={subject: flip.candidate_margin for subject, flip in flips.items()},
        picture=picture(map_array(path)[image]),
    )


def picture(image: NDArray[np.float32]) -> str:
    """Return a normalised image (height, width, channels) as a PNG in a data URI, with values out of range cut off.

    Nothing where Pillow is not installed: an audit reports its findings without pictures, too.
    """
    try:
        from PIL import Image  # noqa: PLC0415  of the extra 'images'
    except ModuleNotFoundError:
        return ""
    finite = np.nan_to_num(np.asarray(image, np.float32), nan=0.0, posinf=1.0, neginf=-1.0)
    pixels = np.clip((finite + 1) * 127.5, 0, 255).round().astype(np.uint8)
    drawn = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    drawn.thumbnail((PICTURE_SIDE_PX, PICTURE_SIDE_PX))
    stream = io.BytesIO()
    drawn.save(stream, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"
