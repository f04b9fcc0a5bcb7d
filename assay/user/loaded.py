"""What every loader of a user's model gives; one file a framework, `load(location) -> Loaded`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from assay.errors import InputError
from assay.user.model import Declared

Array = NDArray[np.generic]
Value = TypeVar("Value")
Compute = Callable[[Sequence[Array]], dict[str, Array]]
"""Inputs by position to outputs by name, as numpy arrays."""


@dataclass(frozen=True)
class Loaded:
    """A model that is ready to be called.

    Attributes:
        declared: its inputs, where the file says; else none.
        native: it in its own precision.
        double: makes it in float64, or raises InputError where that cannot be had; called last, it may change `native`.
        random: names the operators that draw random numbers, where its file says so.
        per_call: names what chooses a scale for each call from all of its rows: dynamic quantisation.
    """

    declared: tuple[Declared, ...]
    native: Compute
    double: Callable[[], Compute]
    random: Callable[[], str] = str
    per_call: Callable[[], str] = str


def named(values: Sequence[Value], names: Sequence[str] = ()) -> dict[str, Value]:
    """Outputs under their names, "output" or "output_0", "output_1" where they have none.

    Raises:
        InputError: there are no outputs.
    """
    if not values:
        raise InputError("The model gives no outputs", expected="one tensor or more")
    if not names:
        names = ["output"] if len(values) == 1 else [f"output_{place}" for place in range(len(values))]
    return dict(zip(names, values, strict=True))


def keys_of(outputs: object) -> list[str]:
    """The names of a flat dictionary of outputs, in the order in which it was filled; none for anything else."""
    flat = isinstance(outputs, dict) and all(not isinstance(one, dict | list | tuple) for one in outputs.values())
    return [str(key) for key in outputs] if flat and isinstance(outputs, dict) else []
