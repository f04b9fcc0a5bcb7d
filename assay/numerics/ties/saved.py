"""Deciding values as a file, and those of several calls as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from assay.files.named_arrays import read_named, save_named
from assay.numerics.ties.choices import EXACT, MAY_BE, MAY_BE_REDUCED, TOLERANCE, VALUES, Alternatives, Decider
from assay.numerics.ties.deciding import NOT_FOLLOWED, UNDEFINED, Deciding, Undefined, Unfollowed
from assay.numerics.ties.lists import LISTS, LISTS_ACROSS, Entries
from assay.numerics.ties.selected import SELECTS, Selected


def joined(deciders: Sequence[Deciding]) -> Deciding | None:
    """Join what decides an output in several calls, one after the other; None where it is not of one kind in all."""
    if unfollowed := [one for one in deciders if isinstance(one, Unfollowed)]:
        return unfollowed[0]
    first, *others = deciders
    return first.joined(others) if all(type(one) is type(first) for one in others) else None


def save_deciders(deciders: Mapping[str, Deciding], path: Path) -> None:
    """Write deciders, by output, for `read_deciders`."""
    save_named(path, {key: array for output, one in deciders.items() for key, array in one.arrays(output).items()})


def read_deciders(path: Path) -> dict[str, Deciding]:
    """Read the deciders, by output, that `save_deciders` wrote; none where there is no such file."""
    if not path.is_file():
        return {}
    arrays = read_named(path)
    found: dict[str, Deciding] = {}
    for key, array in arrays.items():
        if key.startswith(VALUES):
            name = key.removeprefix(VALUES)
            found[name] = Decider(array, float(arrays[TOLERANCE + name]), arrays.get(EXACT + name))
        elif key.startswith(UNDEFINED):
            found[key.removeprefix(UNDEFINED)] = Undefined(array.tobytes().decode())
        elif key.startswith(NOT_FOLLOWED):
            found[key.removeprefix(NOT_FOLLOWED)] = Unfollowed(array.tobytes().decode())
        elif key.startswith(LISTS_ACROSS):
            found[key.removeprefix(LISTS_ACROSS)] = Entries(array, across=True)
        elif key.startswith(LISTS):
            found[key.removeprefix(LISTS)] = Entries(array, across=False)
        elif key.startswith(SELECTS):
            name = key.removeprefix(SELECTS)
            found[name] = Selected.read(name, arrays)
        elif key.startswith(MAY_BE):
            name = key.removeprefix(MAY_BE)
            found[name] = Alternatives(array, arrays[MAY_BE_REDUCED + name])
    return found
