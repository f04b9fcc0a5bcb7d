"""The outputs of a user's model, and why some cannot be compared: one message for each, with a remedy."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from assay.numerics.values import lacks_numbers
from assay.train.brought.arrays import Records, inputs_of, repeated
from assay.train.brought.loaders.loaded import Compute, Lines
from assay.train.brought.model import Location, Tensor, UserModel
from assay.train.brought.outputs import IncomparableError, incomparable
from assay.train.brought.varying import room_for

Array = NDArray[np.generic]
Shapes = tuple[tuple[int, ...], ...]

NUMBERS = "fiub"
OTHERWISE = "Compare the part of the model before it, whose outputs are numbers of a fixed size"
OTHER_INPUTS = "Give inputs for which the model has numbers, with --inputs FILE or --range"


@dataclass(frozen=True)
class Learned:
    """The outputs of a model, as far as calls have shown them.

    Attributes:
        left_out: kinds of those that cannot be compared, by name.
        varying: those whose size depends on the values of the inputs.
    """

    left_out: Mapping[str, str] = field(default_factory=dict)
    varying: frozenset[str] = frozenset()

    def after(self, error: IncomparableError) -> Learned:
        """Return what is known after an error; an output that varies is tried once with room for all of its entries.

        Raises:
            IncomparableError: the error itself, where it shows nothing new.
        """
        varying = error.varying - self.varying
        wrong = {name: kind for name, kind in error.outputs.items() if name not in varying}
        if not varying and not set(wrong) - set(self.left_out):
            raise error
        return Learned({**self.left_out, **wrong}, (self.varying | varying) - set(wrong))


def told_of(model: UserModel, left_out: Mapping[str, str], rows: Array) -> list[str]:
    """Return sentences on outputs that cannot be compared, or only in another form, or that show little.

    Args:
        rows: the model's own outputs, (records, `model.width`).
    """
    found = [f"Output '{name}' is left out, since it is {kind}." for name, kind in left_out.items()]
    found += [f"The model writes to its input '{name}', and gets a copy of it in every call." for name in model.written]
    if varying := [f"'{one.name}'" for one in model.outputs if one.varying]:
        found.append(
            f"The size of {', '.join(varying)} depends on the values of the inputs: a call has one record, and entries "
            "are compared where the sizes agree, in any order."
        )
    if alike := _the_same_for_all(model, rows):
        verb, whose = ("is", "its agreement shows") if len(alike) == 1 else ("are", "their agreement shows")
        found.append(f"{', '.join(alike)} {verb} the same for all {len(rows)} inputs, so that {whose} little.")
    return found


def _the_same_for_all(model: UserModel, rows: Array) -> list[str]:
    """Return the outputs, in words, that are the same for all records; none where there is one record."""
    if len(rows) < 2:
        return []
    return [
        f"'{output.name}'"
        for output, part in model.parts
        if all(np.array_equal(rows[0, part], other[part], equal_nan=True) for other in rows[1:])
    ]


def refuse_without_numbers(model: UserModel, rows: Array, compute: Compute, records: Records) -> None:
    """
    Args:
        rows: the model's own outputs that will have a reference, (records, `model.width`).
        compute: calls the model.

    Raises:
        IncomparableError: an output is infinite or NaN throughout, and would agree with anything that is broken alike.
    """
    empty = [place for place, (_, part) in enumerate(model.parts) if lacks_numbers(rows[:, part])]
    if empty:
        known = list(compute(inputs_of(model, repeated(records[:1], model.batch or 1))))  # names of its own
        kind = f"infinite or NaN throughout for {'this input' if len(rows) == 1 else f'all {len(rows)} inputs'}"
        raise incomparable({known[place]: kind for place in empty}, known, str(model.location), OTHER_INPUTS)


def refuse_incomparable(outputs: Mapping[str, Array], location: Location, varying: Collection[str] = ()) -> None:
    """
    Args:
        varying: outputs that may be empty, since their size depends on the values.

    Raises:
        IncomparableError: an output does not hold numbers, or is empty.
    """
    wrong = {name: _in_words(value) for name, value in outputs.items()}
    empty = {name for name, value in outputs.items() if not value.size and value.dtype.kind in NUMBERS}
    if found := {name: words for name, words in wrong.items() if words and not (name in varying and name in empty)}:
        error = incomparable(found, outputs, str(location), OTHERWISE)
        error.varying = frozenset(empty & set(found))
        raise error


def _in_words(value: Array) -> str:
    """Return what an output is that cannot be compared; "" where it can."""
    if value.dtype.kind not in NUMBERS:
        return "text" if value.dtype.kind in "OSU" else f"of {value.dtype} numbers"
    return "" if value.size else f"empty, {list(value.shape)}"


def varying_shapes(
    name: str, shapes: Sequence[tuple[int, ...]], known: Collection[str], location: Location
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return a shape with room for an output, and the dimensions whose sizes depend on the values.

    Args:
        shapes: its shapes in several calls of one size.
        known: names of all outputs.

    Raises:
        IncomparableError: it is always empty, or has dimensions that come and go.
    """
    ranks, empty = {len(shape) for shape in shapes}, not any(np.prod(shape) for shape in shapes)
    if empty or len(ranks) > 1:
        kind = "empty for all of these inputs" if empty else "of another number of dimensions for other values"
        raise incomparable({name: kind}, known, str(location), OTHERWISE)
    sizes = list(zip(*shapes, strict=True))
    varying = tuple(axis for axis, seen in enumerate(sizes) if len(set(seen)) > 1)
    return tuple(room_for(max(seen)) if axis in varying else seen[0] for axis, seen in enumerate(sizes)), varying


def steady_sizes(compute: Compute, location: Location, varying: Collection[str] = ()) -> Compute:
    """Wrap a function so that it checks that the sizes of outputs follow from the sizes of inputs alone.

    Args:
        varying: outputs that need not.

    Calling the result raises IncomparableError where an output has another shape than before for inputs of the same
    shapes, as with NonZero, Unique and NonMaxSuppression.
    """
    known: dict[Shapes, dict[str, tuple[int, ...]]] = {}

    def watched(inputs: Sequence[Array]) -> dict[str, Array]:
        outputs = compute(inputs)
        before = known.setdefault(
            tuple(one.shape for one in inputs), {name: value.shape for name, value in outputs.items()}
        )
        wrong = {
            name: f"of a size that depends on the input values, {list(before.get(name, ()))} and {list(value.shape)}"
            for name, value in outputs.items()
            if before.get(name) != value.shape and name not in varying
        }
        if wrong:
            error = incomparable(wrong, outputs, str(location), OTHERWISE)
            error.varying = frozenset(wrong)
            raise error
        return outputs

    return watched


def beside(name: str, taken: set[str]) -> str:
    """Return a name for an output that no input and no earlier output has: an ONNX file could not hold both."""
    while name in taken:
        name += "_out"
    taken.add(name)
    return name


def with_lines(tensor: Tensor, lines: Lines | None, *, whole: bool) -> Tensor:
    """Return an output with its lines along a dimension of a record; rows themselves are in order.

    Args:
        whole: whether a record is a whole call.
    """
    axis = -1 if lines is None else lines.axis - (0 if whole else 1)
    return tensor if lines is None or axis < 0 else tensor.model_copy(update={"lines": (lines.call, axis)})
