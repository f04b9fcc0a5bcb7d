"""An export of a user's model computed in float64, in a process of its own. "double" gives a reference where a
framework has none of its own; "deciders" gives what decides outputs that scores decide.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from assay.export.graph.inspect import read_model
from assay.export.probing.exact import MOST_EVALUATED, check_reference, computed_exactly, with_own_whole_numbers
from assay.files.arrays import load_array
from assay.jobs.files import Written
from assay.jobs.job import Job
from assay.jobs.serving import serve_job
from assay.numerics.ties.deciding import Deciding, Unfollowed
from assay.numerics.ties.saved import joined, save_deciders
from assay.records.base import Record
from assay.train.brought.arrays import Array, inputs_of
from assay.train.brought.model import UserModel


class DoubleRequest(Record):
    """The file to compute in float64; its outputs are written to `out`."""

    model: UserModel
    file: Path
    records: Path
    native: Path
    out: Written


class DoubleAnswer(Record):
    """The names of the programs that computed the file, "onnx's reference evaluator" for instance."""

    by: str


class DecidedOutputs(Record):
    """The names of the outputs that scores decide in a way that was followed, and of those where it was not."""

    outputs: list[str]
    unfollowed: list[str]


DOUBLE = Job("assay.export.reference.double_job", "double", DoubleRequest, DoubleAnswer)
DECIDERS = Job("assay.export.reference.double_job", "deciders", DoubleRequest, DecidedOutputs)


def double(request: DoubleRequest) -> DoubleAnswer:
    """Compute an export in float64 on the first few records.

    Raises:
        InputError: it cannot be computed, or is not what the model itself computes.
    """
    from assay.export.probing.on_onnx import double as compute_double  # noqa: PLC0415

    model = request.model
    records, native = load_array(request.records), load_array(request.native)
    count = min(len(records), max(MOST_EVALUATED // (model.batch or 1), 1) * (model.batch or 1))
    by: dict[str, None] = {}
    compute = compute_double(read_model(request.file), request.file.name, by)
    exact = computed_exactly(model, lambda inputs: _in_order(model, compute(inputs)), records[:count])
    check_reference(model, exact, native, by_columns=True)
    np.save(request.out, with_own_whole_numbers(model, exact, native))
    return DoubleAnswer(by=" and ".join(by))


def deciders(request: DoubleRequest) -> DecidedOutputs:
    """Find what decides the outputs that scores decide, by an export that gives the model's own.

    Raises:
        InputError: onnx's reference evaluator cannot run the file.
    """
    from assay.export.checking.on_onnx_deciders import deciders_of  # noqa: PLC0415
    from assay.export.reference.on_onnx_double import without_initialisers  # noqa: PLC0415

    model, proto = request.model, read_model(request.file)
    records, native = load_array(request.records), load_array(request.native)
    count = min(len(records), len(native), MOST_EVALUATED if model.whole else len(native))
    step = 1 if model.whole else model.batch or count
    calls = []
    for start in range(0, count - count % step, step):
        inputs = inputs_of(model, records[start : start + step])
        feeds = dict(zip((value.name for value in without_initialisers(proto.graph)), inputs, strict=True))
        calls.append(deciders_of(proto, feeds, rows=not model.whole, name=request.file.name))
    parts = {one.name: part for one, part in model.parts}
    found = {name: _joined([one.get(name) for one in calls]) for name in parts}
    sound = {name: one for name, one in found.items() if one and one.decides(native[: one.records, parts[name]])}
    save_deciders(sound, request.out)
    unfollowed = [name for name, one in sound.items() if isinstance(one, Unfollowed)]
    return DecidedOutputs(outputs=[name for name in sound if name not in unfollowed], unfollowed=unfollowed)


def _joined(calls: Sequence[Deciding | None]) -> Deciding | None:
    """Return what decides an output in every call; what is not followed in one of them is not followed."""
    known = [one for one in calls if one is not None]
    if not known or (len(known) < len(calls) and not any(isinstance(one, Unfollowed) for one in known)):
        return None
    return joined(known)


def _in_order(model: UserModel, outputs: Mapping[str, Array]) -> dict[str, Array]:
    return {one.name: outputs[one.name] for one in model.outputs}


if __name__ == "__main__":
    serve_job(DOUBLE.done_by(double), DECIDERS.done_by(deciders))
