"""What every loader of a user's model gives; one file a framework, `load(location) -> Loaded`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from assay.train.brought.model import Declared

Array = NDArray[np.generic]
Compute = Callable[[Sequence[Array]], dict[str, Array]]
"""Inputs by position to outputs by name, as numpy arrays."""


Called = tuple[Compute, Callable[[], Compute]]
"""A model in its own precision, and a function that makes it in float64 or raises InputError where that cannot be had;
the function is called last, because it may change the model.
"""


def _unbound(inputs: Sequence[Array]) -> dict[str, Array]:
    raise RuntimeError(f"{len(inputs)} inputs, and nobody said what they are called: see Loaded.bound")


@dataclass(frozen=True)
class LoadedModel:
    """A model that is loaded; it is called once it is `bound` to the names of its inputs.

    Attributes:
        declared: its inputs, where the file says; else none.
        called: makes it callable with inputs of these names, in this order, and without outputs of those names; raises
            InputError where an input fits no argument.
        native: it in its own precision.
        double: makes it in float64, see `Called`.
        random: names the operators that draw random numbers, where its file says so.
        places: with inputs of these names, how many places an index has that is cut off at its limit and not refused;
            None where there is none.
        per_call: names what chooses a scale for each call from all of its rows: dynamic quantisation.
        narrow: with inputs of these names, the precision below fp32 that it computes in: "fp16", "bf16", or "". What is
            only stored in it is not computed in it.
    """

    declared: tuple[Declared, ...]
    called: Callable[[Sequence[str], Sequence[str]], Called]
    native: Compute = _unbound
    double: Callable[[], Compute] = lambda: _unbound
    random: Callable[[], str] = str
    per_call: Callable[[], str] = str
    places: Callable[[Sequence[str], Sequence[Array]], int | None] = lambda names, inputs: None
    narrow: Callable[[Sequence[str], Sequence[Array]], str] = lambda names, inputs: ""

    def bound(self, names: Sequence[str], without: Sequence[str] = ()) -> LoadedModel:
        """The same, ready to be called with inputs of these names.

        Args:
            without: outputs that are left out.

        Raises:
            InputError: an input fits no argument of the model.
        """
        native, double = self.called(names, without)
        return replace(self, native=native, double=double)
