"""Arrays under the names that a model gave them, in an .npz file.

`numpy.savez` takes names as arguments, so that an input called `file` cannot be written; and names are paths inside a
zip, which end at a null character. Here the members are numbered, and one more has the names as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.errors import ArtifactError
from assay.files.arrays import load_arrays
from assay.files.texts import parse_json

NAMES = "assay-names"
"""The member that holds the names, in the order of the numbers: JSON in ASCII, as uint8."""


def save_named(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays under any names at all, including `file`, "" and names that cannot be paths."""
    names = np.frombuffer(json.dumps(list(arrays)).encode("ascii"), np.uint8)
    numbered = {str(place): array for place, array in enumerate(arrays.values())}
    np.savez(path, **{NAMES: names}, **numbered)  # type: ignore[arg-type]


def read_named(path: Path) -> dict[str, NDArray[Any]]:
    """Read the arrays, by name, of a file that `save_named` wrote or of a plain .npz.

    Raises:
        ArtifactError: it cannot be read, holds objects, or declares more than memory holds.
    """
    arrays = load_arrays(path)
    if NAMES not in arrays:
        return arrays
    try:
        names = parse_json(arrays.pop(NAMES).tobytes())
        return {str(name): arrays[str(place)] for place, name in enumerate(names)}
    except (ValueError, KeyError, TypeError) as error:
        raise ArtifactError(f"{path} cannot be read", expected=f"a name in {NAMES} for each array") from error
