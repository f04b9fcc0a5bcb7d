"""A call at a second size, for a file that leaves more sizes open than its batch.

There is no float64 at that size, so ONNX Runtime's result without optimisations takes its place: the file says that it
takes the size, and the optimised file has to give the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from assay.export.graph.inspect import one_line, read_model
from assay.numerics.agreement import NOT_COMPARED
from assay.numerics.following import is_counted, reason_not_followed
from assay.numerics.precisions import is_quantised
from assay.numerics.rounding import FP32, Rounding, rounding_of
from assay.numerics.values import differences, is_whole, settled
from assay.records.results import Agreement
from assay.train.brought.arrays import Records, inputs_of, repeated
from assay.train.brought.model import UserModel

if TYPE_CHECKING:
    import onnxruntime

Array = NDArray[np.generic]


@dataclass
class SecondShape:
    """A call whose open sizes, but for the batch, are one larger than those of the records.

    Attributes:
        sizes: the sizes in words, such as "steps=7"; "" where nothing is open.
        feeds: inputs by name.
        rounding: rounding of the model's precision.
        follows: whether the model is quantised, so that its outputs have to follow (`assay.numerics.following`).
        right: outputs of the first level that ran it, by name.
    """

    sizes: str
    feeds: Mapping[str, Array]
    rounding: Rounding = FP32
    follows: bool = False
    right: dict[str, Array] = field(default_factory=dict)

    def judged(self, session: onnxruntime.InferenceSession, subject: str) -> list[Agreement]:
        """Return the comparison at this size; none at the first level, and where the file does not take the size."""
        if not self.sizes:
            return []
        names, found = [output.name for output in session.get_outputs()], None
        try:
            found = dict(zip(names, map(np.asarray, session.run(names, dict(self.feeds))), strict=True))
        except Exception as error:  # noqa: BLE001  its exceptions have no common base
            worst = NOT_COMPARED, f"it does not run: {one_line(error)}"
        if found is not None and self.right:
            worst = max(
                (self._apart(name, self.right[name], found[name]) for name in names), key=lambda one: bool(one[1])
            )
        if not self.right:
            self.right = found or {}
            self.sizes = self.sizes if found else ""
            return []
        return [self._agreement(f"{subject}, {self.sizes}", *worst)]

    def _apart(self, name: str, right: Array, found: Array) -> tuple[float, str]:
        """Return by how much an output differs, and why that is too much, or ""."""
        if right.shape != found.shape:
            return NOT_COMPARED, f"output '{name}' of shape {found.shape}, expected {right.shape}"
        if not right.size:
            return 0.0, ""
        if is_whole(right.dtype) and (not self.follows or is_counted(right.dtype.name, "int8")):
            counted = differences(right, found)
            return counted.largest, f"output '{name}': {counted}" if counted.differing else ""
        both = settled(right, found)
        if both.problem:
            return NOT_COMPARED, f"output '{name}': {both.problem}"
        if self.follows:
            reason = reason_not_followed(both)
            return both.apart, reason and f"output '{name}': {reason}"
        largest, limit = both.apart, self.rounding.ceiling * both.scale
        return (
            largest,
            f"output '{name}' differs by {largest:.3g}, where {limit:.3g} is tolerated" if largest > limit else "",
        )

    def _agreement(self, subject: str, largest: float, reason: str) -> Agreement:
        most = self.rounding.in_words.partition(",")[0]
        return Agreement(
            subject=subject,
            images=1,
            max_absolute=largest if np.isfinite(largest) else NOT_COMPARED,
            max_relative=NOT_COMPARED,
            tolerance=0.0,
            derivation=f"{most} of ONNX Runtime without optimisations, at a second size",
            largest_moved=0,
            passed=not reason,
            reason=reason,
        )


def second_shape(file: Path, model: UserModel, records: Records) -> SecondShape:
    """
    Raises:
        ArtifactError: the file cannot be read.
    """
    from assay.export.graph.on_onnx_signature import dimensions_of  # noqa: PLC0415
    from assay.export.reference.on_onnx_double import without_initialisers  # noqa: PLC0415  onnx is imported in the job alone

    inputs = inputs_of(model, repeated(records, 1 if model.whole else model.batch or 2))
    values = {value.name: dimensions_of(value) or () for value in without_initialisers(read_model(file).graph)}
    feeds, sizes = {}, dict[str, int]()
    for one, array in zip(model.inputs, inputs, strict=True):
        feeds[one.name] = array
        for axis, size in enumerate(values.get(one.name, ())):
            is_batch = axis == 0 and not model.whole and not one.shared
            if isinstance(size, str) and not is_batch:
                sizes[size] = array.shape[axis] + 1
                places = np.arange(sizes[size]) % array.shape[axis]
                feeds[one.name] = np.take(feeds[one.name], places, axis)
    said = ", ".join(f"{name}={size}" for name, size in sizes.items())
    return SecondShape(said, feeds, rounding_of(model.arithmetic), is_quantised(model.arithmetic))
