"""The outputs of a user's model, and why some cannot be compared: one message for each, with a remedy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from assay.errors import InputError
from assay.train.brought.loaders.loaded import Compute
from assay.train.brought.model import Location

Array = NDArray[np.generic]
Shapes = tuple[tuple[int, ...], ...]

NUMBERS = "fiub"


def refuse_incomparable(outputs: Mapping[str, Array], location: Location) -> None:
    """
    Raises:
        InputError: an output does not hold numbers, or is empty; the message says how to leave it out.
    """
    for name, value in outputs.items():
        if value.dtype.kind in NUMBERS and value.size:
            continue
        raise InputError(
            f"Output '{name}' of {location} cannot be compared",
            expected="a tensor of numbers",
            found=f"{value.dtype} {list(value.shape)}" if value.dtype.kind in NUMBERS else _type_in_words(value),
            remedy=_remedy(name, outputs),
        )


def _type_in_words(value: Array) -> str:
    return "text" if value.dtype.kind in "OSU" else str(value.dtype)


def _remedy(name: str, outputs: Mapping[str, Array]) -> str:
    if len(outputs) > 1:
        return f"Leave it out with --without {name}, and the rest is compared"
    return "Compare the part of the model before it, whose outputs have a fixed size"


def steady_sizes(compute: Compute, location: Location) -> Compute:
    """Wrap a function so that it checks that the sizes of outputs follow from the sizes of inputs alone.

    Calling the result raises InputError where an output has another shape than before for inputs of the same shapes, as
    with NonZero, Unique and NonMaxSuppression.
    """
    known: dict[Shapes, dict[str, tuple[int, ...]]] = {}

    def watched(inputs: Sequence[Array]) -> dict[str, Array]:
        outputs = compute(inputs)
        before = known.setdefault(
            tuple(one.shape for one in inputs), {name: value.shape for name, value in outputs.items()}
        )
        for name, value in outputs.items():
            if before.get(name) != value.shape:
                raise InputError(
                    f"The size of output '{name}' of {location} depends on the input values",
                    expected=f"the same output shape for all inputs of one shape, {list(before.get(name, ()))}",
                    found=str(list(value.shape)),
                    remedy=_remedy(name, outputs),
                )
        return outputs

    return watched
