"""The reason why the rows of a user's model change with the other rows of a call.

They may depend on each other through the model's computation, or through a scale that is chosen for each call, or only
seem to: where the model in float64 gives a row the same in any company, the differences in fp32 are rounding alone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from assay.errors import AssayError, InputError
from assay.export.probing.calls import ALONE, Array, company_matters, computed
from assay.export.probing.drawn_ranges import Range
from assay.files.arrays import load_array
from assay.numerics.following import LARGEST_SHARE, deviation_of, is_counted
from assay.numerics.values import differences, is_whole, settled
from assay.train.brought.arrays import Records, inputs_of, repeated
from assay.train.brought.loaders.loaded import LoadedModel
from assay.train.brought.model import Location, UserModel
from assay.train.brought.training.words import as_in_training, out_of_training

DOUBT_FILE = "doubt.npy"
EXPECTED = "one row of every output for each input row, whatever the other rows are"
UNDECIDED = "undecided on these inputs"
DOUBTED = 2.0
"""An export is not called wrong while it is at most this many times as far from a model as the model is from its own
float64.
"""


@dataclass(frozen=True)
class CalledModel:
    """A model that has been called, and a function that loads it afresh, since float64 may change it.

    Attributes:
        said: ranges of inputs that the user gave, by name.
        varying: outputs whose size depends on the values of the inputs.
    """

    loaded: LoadedModel
    again: Callable[[], LoadedModel]
    said: Mapping[str, Range] = field(default_factory=dict)
    varying: frozenset[str] = frozenset()


def refusal_of_rows(
    model: UserModel, opened: str, asked: CalledModel, records: Records, apart: str, *, drawn: bool
) -> InputError:
    """Return the error for a model that takes any number of rows and gives them differently in other company.

    Args:
        opened: name of the dimension of its rows.
        apart: by how much and between which calls they differ, in words.
        drawn: whether the records are random numbers.
    """
    if quantised := asked.loaded.per_call():
        return InputError(
            f"{model.location} quantises each call with its own scale ({quantised}), so that each row depends on the "
            "others in its batch",
            expected=EXPECTED,
            found=apart,
            remedy=f"Compare it at the batch sizes used: {_fixed(opened, 1)} or more; or give the model from "
            "before quantisation",
        )
    if layers := layers_in_training(model, asked, records):
        return InputError(
            f"The rows of a batch of {model.location} depend on each other, because {as_in_training(layers)}",
            expected=EXPECTED,
            found=apart,
            remedy=f"{out_of_training(model.location)}. If this is intended, give the model a fixed size: "
            f"{_fixed(opened, 4)}, or --shape with numbers alone",
        )
    if _is_rounding(model, asked.again, records[:ALONE]):
        return InputError(
            f"{model.location} cannot be judged on these inputs: its fp32 outputs for them are mere rounding",
            expected="outputs that agree to rounding in calls of any size",
            found=f"{apart}, while in float64 no row depends on the others",
            remedy="Give real inputs with --inputs FILE.npz: the model was not made for random numbers"
            if drawn
            else "Give other inputs",
        )
    return InputError(
        f"The rows of a batch of {model.location} depend on each other",
        expected=EXPECTED,
        found=apart,
        remedy=f"Give the model a fixed size: {_fixed(opened, 4)}, or --shape with numbers alone",
    )


def layers_in_training(model: UserModel, asked: CalledModel, records: Records) -> tuple[str, ...]:
    """Return the layers that compute as in training in a call of some records."""
    return asked.loaded.layers_in_training(inputs_of(model, repeated(records, model.batch or ALONE)))


def told_of_company(model: UserModel, asked: CalledModel, records: Records) -> list[str]:
    """Say which layers make the rows of a fixed batch depend on each other, if some compute as in training."""
    layers = layers_in_training(model, asked, records)
    remedy = f"{out_of_training(model.location)}, unless this is intended."
    said = "The rows of a call depend on each other, because"
    return [f"{said} {as_in_training(layers)}: a call is compared as a whole. {remedy}"] if layers else []


def refusal_of_shapes(
    location: Location, opened: str, wrong: Mapping[str, tuple[int, ...]], outputs: Collection[str], rows: int
) -> InputError:
    """Return the error for a model with outputs that do not have as many rows as the input.

    Args:
        opened: name of the dimension of its rows.
        wrong: shapes of these outputs, by name.
        outputs: names of all.
        rows: number of rows of the input.
    """
    without = " ".join(f"--without {name}" for name in wrong)
    otherwise = f"; or leave out what has no rows: {without}" if {*outputs} - {*wrong} else ""
    return InputError(
        f"Outputs of {location} do not have a row for each row of a batch",
        expected=f"outputs that begin with {rows}, for inputs of {rows} rows",
        found=", ".join(f"'{name}' {list(shape)}" for name, shape in wrong.items()),
        remedy=f"Give the model a fixed size: {_fixed(opened, 4)}, or --shape with numbers alone{otherwise}",
    )


class UnsoundError(InputError):
    """A model whose fp32 outputs are further from its own float64 than rounding explains: outputs equally close to them
    are not wrong for that.

    Attributes:
        relative: the largest such distance over the largest number of its output.
    """

    relative: float = 0.0


def keep_doubt(folder: Path, error: UnsoundError) -> None:
    """Keep the doubt beside a model's records, for `doubt_of`."""
    np.save(folder / DOUBT_FILE, np.array(error.relative))


def doubt_of(folder: Path) -> float:
    """Return the doubt kept beside a model's records, or 0."""
    path = folder / DOUBT_FILE
    return float(load_array(path)) if path.is_file() else 0.0


def furthest_from(model: UserModel, native: Array, rows: Array) -> float:
    """Return the largest difference of an output over its largest number; infinite where more than rounding differs."""
    found = 0.0
    for output, part in model.parts:
        if is_whole(output.dtype):
            found = max(found, float("inf") if differences(native[:, part], rows[:, part]).differing else 0.0)
            continue
        both = settled(native[:, part], rows[:, part])
        found = max(found, float("inf") if both.problem else both.apart / (both.scale or 1.0))
    return found


def undecided(furthest: float, doubt: float, narrow: str = "") -> str:
    """Return why an export that differs so much from a doubtful model is not called wrong, or "" if it is.

    Args:
        narrow: the precision below fp32, such as "fp16", in which both the export and the model compute; or "".
    """
    if not doubt or furthest > DOUBTED * doubt:
        return ""
    if narrow:
        return (
            f"not judged: it computes in {narrow}, where the model itself is {doubt:.2g} from float64 and the export "
            f"{furthest:.2g} from the model, relative to the largest output: more than rounding explains. Give "
            "real inputs with --inputs"
        )
    return (
        f"{UNDECIDED}: it is {furthest:.2g} from the model, relative to the largest output, and the "
        f"model in fp32 itself is {doubt:.2g} from its own float64. Give real inputs with --inputs"
    )


def within_steps(model: UserModel, native: Array) -> str:
    """Return why a file that does not follow a quantised model is not called wrong, or "" if it is: an output varies so
    little that a number rounded to the next step alone is more than follows.

    Args:
        native: the model's own outputs, (records, width).
    """
    for output, part in model.parts:
        values = np.unique(native[:, part].astype(np.float64))
        if is_counted(output.dtype, model.arithmetic) or len(values) < 2 or not np.isfinite(values).all():
            continue
        step, varies = float(np.diff(values).min()), deviation_of(native[:, part].astype(np.float64))
        if step > LARGEST_SHARE * varies:
            return (
                f"{UNDECIDED}: the model's output '{output.name}' varies by {varies / step:.1f} of the steps that its "
                "quantisation leaves it. Give real inputs with --inputs"
            )
    return ""


def _fixed(opened: str, rows: int) -> str:
    return f"--dimension {opened}={rows}"


def _is_rounding(model: UserModel, again: Callable[[], LoadedModel], records: Records) -> bool:
    """Return whether the model in float64 gives every row the same in any company."""
    try:
        double = again().double()
        rows: Array = computed(model, double, records)
        return not company_matters(model, double, records, rows)
    except AssayError:  # there is no float64, which proves nothing
        return False
