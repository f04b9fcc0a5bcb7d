"""An operator as a model, with its own results and those in float64: one whose record is a whole call, or one whose
records are rows of a batch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from assay.bench.atlas.conditioning import moved_by_rounding
from assay.bench.atlas.suites.suite import INPUTS_FILE, Suite
from assay.errors import AssayError, InputError
from assay.export.checking.records import Against
from assay.export.probing.calls import company_matters, computed
from assay.export.probing.exact import check_reference, computed_exactly, with_own_whole_numbers
from assay.export.probing.loading import load
from assay.export.probing.outputs import refuse_incomparable
from assay.export.probing.probe import NATIVE_FILE, RECORDS_FILE, REFERENCE_FILE
from assay.numerics.values import is_whole
from assay.train.brought.arrays import Records, inputs_of, record_type
from assay.train.brought.loaders.loaded import LoadedModel, Unordered
from assay.train.brought.model import Location, Tensor, UserModel

Array = NDArray[np.generic]
LEAST_ROWS, ROWS = 2, 5
"""The fewest rows of a sample that may be a batch, and the rows that are compared: in calls of 1, 3 and all of them."""


@dataclass(frozen=True)
class ProbedOperator:
    """A probed operator.

    Attributes:
        against: the files that its exports are compared with.
        moved: how far a rounding of the inputs moves each result, (records, `model.width`).
        kernels: the framework's operators that computed.
        unordered: how it was called, where it is an operator whose results come in no order that is defined.
    """

    model: UserModel
    against: Against
    moved: NDArray[np.float64]
    kernels: tuple[str, ...] = ()
    unordered: Unordered | None = None


def probed(suite: Suite, path: Path, inputs: Mapping[str, Array]) -> ProbedOperator:
    """Load an operator, call it twice, and compute it in float64.

    Args:
        path: the model; the files are written beside it.

    Raises:
        UnsoundError: the operator's own results are not float64's to rounding.
        InputError: it does not run, its results cannot be compared, or they change from call to call.
    """
    location, loaded, outputs = _called(suite, path, inputs)
    model = _model(location, suite, inputs, outputs, path, whole=True, shared=())
    records = np.zeros(1, record_type(model.inputs))
    for name, one in inputs.items():
        records[name][0] = one
    native = computed(model, loaded.native, records)
    if not np.array_equal(native, computed(model, loaded.native, records), equal_nan=native.dtype.kind == "f"):
        raise InputError("Its results change from call to call: it is random")
    return _in_float64(model, loaded, records, native, path)


def probed_in_rows(suite: Suite, path: Path, inputs: Mapping[str, Array]) -> ProbedOperator | None:
    """Return the same where the first dimension of inputs and results is a batch, whose rows do not depend on each
    other; None where it is not. Its records are the rows, repeated until there are `ROWS`.

    Args:
        path: the model; the files are written beside it, and the inputs with so many rows.
    """
    location, loaded, outputs = _called(suite, path, inputs)
    size = next((len(one) for one in inputs.values() if one.ndim), 0)
    batched = [name for name, one in inputs.items() if one.ndim and len(one) == size]
    if size < LEAST_ROWS or any(not one.ndim or len(one) != size for one in outputs.values()):
        return None
    for rowwise in dict.fromkeys((tuple(batched), tuple(batched[:1]))):
        shared = tuple(name for name in inputs if name not in rowwise)
        model = _model(location, suite, inputs, outputs, path, whole=False, shared=shared)
        records = np.zeros(ROWS, record_type(model.inputs))
        for name, one in inputs.items():
            records[name] = one if name in shared else one[np.arange(ROWS) % size]
        try:
            native = computed(model, loaded.native, records)
            if company_matters(model, loaded.native, records, native):
                continue
        except AssayError:  # such as a shape that an argument fixes
            continue
        taken = {one.name: value for one, value in zip(model.inputs, inputs_of(model, records), strict=True)}
        np.savez(path.parent / INPUTS_FILE, allow_pickle=False, **taken)
        return _in_float64(model, loaded, records, native, path)
    return None


def _called(suite: Suite, path: Path, inputs: Mapping[str, Array]) -> tuple[Location, LoadedModel, Mapping[str, Array]]:
    """Load an operator and call it; errors as of `probed`."""
    asked = Location(path=path, form=suite.form, kind=suite.kind, function=suite.function)
    location, loaded = load(asked)
    loaded = loaded.bound(list(inputs))
    outputs = loaded.native(list(inputs.values()))
    refuse_incomparable(outputs, location)
    if not any(one.size for one in outputs.values()):
        raise InputError("Its results are empty")
    return location, loaded, outputs


def _model(
    location: Location,
    suite: Suite,
    inputs: Mapping[str, Array],
    outputs: Mapping[str, Array],
    path: Path,
    *,
    whole: bool,
    shared: Collection[str],
) -> UserModel:
    def tensor(name: str, value: Array) -> Tensor:
        is_row = not whole and name not in shared
        return Tensor(
            name=name, dtype=value.dtype.name, shape=value.shape[1:] if is_row else value.shape, shared=name in shared
        )

    return UserModel(
        location=location,
        kind=suite.kind,
        inputs=tuple(tensor(name, one) for name, one in inputs.items()),
        outputs=tuple(tensor(f"y{place}", one) for place, one in enumerate(outputs.values())),
        whole=whole,
        fingerprint=hashlib.sha256(path.read_bytes()).hexdigest(),
    )


def _in_float64(model: UserModel, loaded: LoadedModel, records: Records, native: Array, path: Path) -> ProbedOperator:
    names, inputs = [one.name for one in model.inputs], inputs_of(model, records)
    loaded.narrow(names, inputs)
    kernels = loaded.kernels()
    if drawing := loaded.drawing():
        raise InputError(f"It draws random numbers: {', '.join(drawing)}")
    exact, moved = _reference(model, loaded, records, native)
    files = {name: path.parent / name for name in (RECORDS_FILE, NATIVE_FILE, REFERENCE_FILE)}
    for file, content in zip(files.values(), (records, native, exact), strict=True):
        np.save(file, content)
    against = Against(records=files[RECORDS_FILE], native=files[NATIVE_FILE], reference=files[REFERENCE_FILE])
    unordered = loaded.unordered()
    return ProbedOperator(model, against, moved, kernels, unordered[0] if len(kernels) == len(unordered) == 1 else None)


def _reference(
    model: UserModel, loaded: LoadedModel, records: Records, native: Array
) -> tuple[Array, NDArray[np.float64]]:
    """Return the results in float64, and how far a rounding of the inputs moves them; whole numbers, and results that
    are all zero, are their own reference.
    """
    if all(is_whole(one.dtype) for one in model.outputs):
        return native, _moved(model, records, native, lambda some: computed(model, loaded.native, some))
    double = loaded.double()

    def compute(some: Records) -> Array:
        return computed_exactly(model, double, some)

    exact = compute(records)
    for output, part in model.parts:
        if not is_whole(output.dtype) and np.isnan(exact[:, part]).all():
            raise InputError(
                f"Its result '{output.name}' is NaN throughout, so that it would agree with any that is broken"
            )
    moved = _moved(model, records, exact, compute)
    if not exact.any() and not native.any():
        return exact, moved
    check_reference(model, exact, native)
    return with_own_whole_numbers(model, exact, native), moved


def _moved(
    model: UserModel, records: Records, exact: Array, compute: Callable[[Records], Array]
) -> NDArray[np.float64]:
    """Return what `moved_by_rounding` does; nothing moves where a moved input is refused, such as 1 + 1e-7 for an
    arccosine's domain.
    """
    try:
        return moved_by_rounding(model, records, exact, compute)
    except AssayError:
        return np.zeros(exact.shape)
