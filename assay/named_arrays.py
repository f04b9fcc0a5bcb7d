"""Arrays by names that a model gave them, in an .npz file.

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

NAMES = "assay-names"
"""The member with the names in the order of the numbers: JSON in ASCII, as uint8."""


def save_named(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays under any names at all, also `file`, "" and what is no path."""
    names = np.frombuffer(json.dumps(list(arrays)).encode("ascii"), np.uint8)
    numbered = {str(place): array for place, array in enumerate(arrays.values())}
    np.savez(path, **{NAMES: names}, **numbered)  # type: ignore[arg-type]


def read_named(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays by name, of a file of `save_named` or of a plain .npz."""
    with np.load(path, allow_pickle=False) as archive:
        if NAMES not in archive.files:
            return {name: archive[name] for name in archive.files}
        names = json.loads(archive[NAMES].tobytes())
        return {name: archive[str(place)] for place, name in enumerate(names)}
