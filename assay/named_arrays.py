"""Arrays by names that a model gave them, in an .npz file.

`numpy.savez` takes names as arguments, so that an input called `file` cannot be written; and names are paths inside a
zip, which end at a null character. Here the members are numbered, and one more has the names as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

NAMES = "assay-names"
"""The member with the names in the order of the numbers: JSON in ASCII, as uint8."""


HEADER_BYTES = 2**18
"""Of an .npy file of records, which has every name of a model. numpy's own limit, 10,000, is one long name."""


def read_array(path: Path, mmap_mode: Literal["r"] | None = None) -> NDArray[Any]:
    """One array of an .npy file, records under names of any length too.

    Raises:
        OSError, EOFError, ValueError: there is none.
    """
    try:
        found: NDArray[Any] = np.load(path, mmap_mode, allow_pickle=False, max_header_size=HEADER_BYTES)
    except (MemoryError, RecursionError) as error:  # of the parser, for a header that is nested to death
        raise ValueError(f"the header of {path.name} cannot be read") from error
    return found


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
