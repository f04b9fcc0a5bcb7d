"""The loss of accuracy of a quantised model, or of one in fp16: its outputs are compared with the float64 of the model
that it was made from, on the same records.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from assay.errors import AssayError, InputError
from assay.export.probing.calls import Array, computed
from assay.export.probing.exact import MOST_EVALUATED, computed_exactly
from assay.export.probing.loading import load
from assay.numerics.values import is_whole
from assay.records.results import Agreement
from assay.train.brought.agreement import Judge
from assay.train.brought.arrays import Records
from assay.train.brought.loaders.loaded import Compute, LoadedModel
from assay.train.brought.model import Declared, Location, UserModel


def cost_against(original: Location, model: UserModel, records: Records, native: Array) -> list[Agreement]:
    """Return a comparison for each output of a model with its original in float64, or in fp32 where it has no float64.

    Args:
        native: the model's own outputs, (records, `model.width`).

    Raises:
        InputError: the original does not load, or does not take the model's inputs and give its outputs.
    """
    found, loaded = load(original)
    names = _names(found, loaded, model)
    bound = loaded.bound(names)
    like = [one for name in names for one in loaded.declared if one.name == name]
    exact, what = _outputs(
        model, bound, like, records[: MOST_EVALUATED if found.kind == "onnx" else len(native)], found
    )
    judge = Judge(model, exact, {})
    rows = native[: len(exact)]
    return judge.following(f"against {original} in {what}", rows, np.arange(len(rows)))


def _names(original: Location, loaded: LoadedModel, model: UserModel) -> list[str]:
    """Return the original's names of the inputs: the same, or its own in their order where it has others."""
    names, declared = [one.name for one in model.inputs], [one.name for one in loaded.declared]
    if not declared or set(names) <= set(declared):
        return names
    if len(names) != len(declared):
        raise InputError(
            f"--original has other inputs than {model.location}", expected=", ".join(names), found=", ".join(declared)
        )
    return declared


def _outputs(
    model: UserModel, bound: LoadedModel, like: Sequence[Declared], records: Records, original: Location
) -> tuple[Array, str]:
    """Return the original's outputs for records, and their precision."""
    own = computed(model, _as_outputs_of(model, bound.native, like, original), records)
    try:
        double = bound.double()
        exact = computed_exactly(model, _as_outputs_of(model, double, like, original), records)
    except AssayError:  # its own outputs are all that there is
        return own, "fp32"
    return exact, "float64"


def _as_outputs_of(model: UserModel, compute: Compute, like: Sequence[Declared], original: Location) -> Compute:
    """Return the original called with the model's inputs, its outputs under the model's names and in their order."""

    def call(inputs: Sequence[Array]) -> dict[str, Array]:
        types = [np.dtype(one.dtype) for one in like] or [one.dtype for one in inputs]
        given = [one.astype(kind, copy=False) for one, kind in zip(inputs, types, strict=True)]
        return _renamed(model, compute(given), original)

    return call


def _renamed(model: UserModel, outputs: Mapping[str, Array], original: Location) -> dict[str, Array]:
    names = [one.name for one in model.outputs]
    keys = names if set(names) <= set(outputs) else list(outputs)
    if len(keys) != len(names):
        raise InputError(
            f"--original has other outputs than {model.location}",
            expected=", ".join(names),
            found=", ".join(outputs),
            remedy=f"Give the model that {model.location} was made from, not {original}",
        )
    found = {name: outputs[key] for name, key in zip(names, keys, strict=True)}
    for one in model.outputs:
        shape = found[one.name].shape[0 if model.whole else 1 :]
        if shape != one.shape:
            raise InputError(
                f"--original gives the output '{one.name}' in another shape", expected=str(one.shape), found=str(shape)
            )
    return {
        name: value if is_whole(value.dtype) or value.dtype == np.float64 else value.astype(np.float64)
        for name, value in found.items()
    }
