"""Where the export of a user's model goes wrong, looked for in a process of its own.

The native model is followed operator by operator, in float64 where that can be had and else as it is, and its values
are held against those of the file. The records on which the file is furthest off are taken.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from assay.errors import AssayError
from assay.export.checking.evidence import worst_records
from assay.export.graph.inspect import read_model
from assay.export.graph.saved import is_large
from assay.export.localise.known_values import distance, wide
from assay.export.localise.source import Array, Followed
from assay.export.reference.memory import TooLargeError, in_words
from assay.export.routes.size_limit import LIMIT
from assay.files.arrays import load_array
from assay.jobs.files import Written
from assay.jobs.job import Job
from assay.jobs.serving import serve_job
from assay.numerics.rounding import rounding_of
from assay.numerics.values import differences, is_whole
from assay.records.base import Record
from assay.records.localisation import Localisation, Localised
from assay.train.brought.arrays import inputs_of, repeated
from assay.train.brought.model import Kind, UserModel

if TYPE_CHECKING:
    from onnx import ModelProto

Follow = Callable[..., Followed]

FOLLOWERS: dict[Kind, str] = {
    "torch": "assay.export.localise.on_torch_steps",
    "tf": "assay.export.localise.on_tf_steps",
    "jax": "assay.export.localise.on_jax_steps",
}
MOST_RECORDS = 8
"""Of one call: more numbers are told apart better, and take more memory."""
MOST_BYTES = 1 << 27
"""Of the native model's values: as much again is needed for the file's, and for both in order."""


class LocaliseRequest(Record):
    """What to follow.

    Attributes:
        native: the model's own outputs of the first records.
        repro: takes a folder for each node; `name` is what it is called in the record.
        wrong: runtimes that run a right file wrongly, as `assay.export.localise.on_onnx_runners` calls them; none where
            the file is.
        right: a runtime that runs it rightly.
    """

    model: UserModel
    file: Path
    records: Path
    native: Path
    repro: Written
    name: str
    wrong: tuple[str, ...] = ()
    right: str = ""


LOCALISE = Job("assay.export.localise.brought_job", "localise", LocaliseRequest, Localised)


def partings_of(request: LocaliseRequest) -> list[Localisation]:
    """The nodes at which a file parts from its model, each with its repro; none where it does not.

    Raises:
        AssayError: the model cannot be followed.
    """
    from assay.export.localise.on_onnx_cause import causes  # noqa: PLC0415  onnx is imported in the job alone
    from assay.export.localise.on_onnx_localize import trace  # noqa: PLC0415
    from assay.export.localise.on_onnx_repro import refused_shapes, with_repros  # noqa: PLC0415

    model, proto = request.model, read_model(request.file)
    records = load_array(request.records)
    worst = worst_records(request.file, model, records, load_array(request.native))
    followed, inputs = _followed(model, records, worst)
    feeds = {one.name: _wide(array) for one, array in zip(model.inputs, inputs, strict=True)}
    with tempfile.TemporaryDirectory(prefix="assay-localise-") as folder:
        wrong = trace(_inlined(proto, Path(folder)), feeds)
    expected = dict(zip((one.name for one in model.outputs), followed.outputs.values(), strict=True))
    found = causes(followed.source, wrong, expected) or refused_shapes(proto, wrong)
    return with_repros(proto, wrong, found, request.repro, request.name)


def _inlined(proto: ModelProto, folder: Path) -> Path:
    """The file with its functions written out, so that what is inside of them is seen.

    Raises:
        TooLargeError: one file does not hold it.
    """
    import onnx  # noqa: PLC0415
    import onnx.inliner  # noqa: PLC0415

    path = folder / "inlined.onnx"
    if proto.functions:
        proto.CopyFrom(onnx.inliner.inline_local_functions(proto))
    if is_large(proto):
        raise TooLargeError("Its values cannot be followed", expected=LIMIT, found=in_words(proto.ByteSize()))
    onnx.save(proto, path)
    return path


def departures_of(request: LocaliseRequest) -> list[Localisation]:
    """The operators at which runtimes depart from float64 on a file that is right."""
    from assay.export.localise.on_onnx_runtimes import Run, departures  # noqa: PLC0415

    model, records = request.model, load_array(request.records)
    count = model.batch or min(len(records), MOST_RECORDS)
    inputs = inputs_of(model, repeated(records, 1 if model.whole else count))
    feeds = dict(zip((one.name for one in model.inputs), inputs, strict=True))
    right = Run(request.right, request.file)
    with tempfile.TemporaryDirectory(prefix="assay-asked-") as folder:
        return [
            one for wrong in request.wrong for one in departures(Run(wrong, request.file), right, feeds, Path(folder))
        ]


def _followed(model: UserModel, records: np.ndarray, worst: Sequence[int]) -> tuple[Followed, list[Array]]:
    """The native model on one call, and that call's inputs; in float64 where it computes the same in that.

    Raises:
        AssayError: it cannot be followed.
    """
    follow = cast("Follow", importlib.import_module(FOLLOWERS[model.kind]).follow)
    count = 1 if model.whole else model.batch or 1
    inputs = inputs_of(model, repeated(records[list(worst[:count])], count))
    native = follow(model, inputs, double=False)
    followed, double = native, False
    with contextlib.suppress(AssayError):
        exact = follow(model, inputs, double=True)
        pairs = zip(exact.outputs.values(), native.outputs.values(), strict=True)
        double = all(_same(ours, theirs, rounding_of(model.arithmetic).ceiling) for ours, theirs in pairs)
        followed = exact if double else native
    size = sum(value.nbytes for value in followed.source.values.values())
    more = min(MOST_RECORDS, len(worst), MOST_BYTES // max(size, 1))
    if model.whole or model.batch or more <= 1:
        return followed, inputs
    inputs = inputs_of(model, records[list(worst[:more])])
    return follow(model, inputs, double=double), inputs


def _same(exact: Array, native: Array, ceiling: float) -> bool:
    """Whether two outputs are the same to the rounding of the model's own precision."""
    if exact.shape != native.shape:
        return False
    if is_whole(exact.dtype) or is_whole(native.dtype):
        return not differences(exact, native).differing
    return distance(wide(native), wide(exact)) <= ceiling


def _wide(array: Array) -> Array:
    from assay.export.reference.on_onnx_double import widened  # noqa: PLC0415

    return widened(array)


def work(request: LocaliseRequest) -> Localised:
    """Follow the model and its file, or the runtimes of a file that is right."""
    return Localised(found=departures_of(request) if request.wrong else partings_of(request))


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    serve_job(LOCALISE.done_by(work))
