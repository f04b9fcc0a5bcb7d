"""The search for where an export goes wrong, in a process of its own.

The native model is followed step by step and its values are compared with those of the file: one of ours in float64,
canonical layer by canonical layer; a user's operator by operator, in float64 where that is possible and else as it is.
The images or records on which the file is furthest off are used.
"""

from __future__ import annotations

import contextlib
import importlib
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from assay.errors import AssayError, InputError
from assay.export.checking.check import as_taken
from assay.export.checking.evidence import worst_records
from assay.export.graph.inspect import read_model
from assay.export.graph.saved import is_large
from assay.export.localise.known_values import distance, wide
from assay.export.localise.source import Array, ExactComputation, Followed
from assay.export.reference.memory import TooLargeError, in_words
from assay.export.reference.reference import read_images
from assay.export.routes.request import Images
from assay.export.routes.size_limit import LIMIT
from assay.files.arrays import load_array
from assay.jobs.files import Written
from assay.jobs.job import Job
from assay.jobs.serving import serve_job
from assay.numerics.rounding import rounding_of
from assay.numerics.values import differences, is_whole
from assay.records.base import Record
from assay.records.localisation import Localisation, Localised
from assay.spec import INPUT_NAME, OUTPUT_NAME
from assay.train.brought.arrays import Records, feeds_of, inputs_of, repeated
from assay.train.brought.model import Kind, UserModel
from assay.train.built import BuiltModel

if TYPE_CHECKING:
    from onnx import ModelProto

Follow = Callable[..., Followed]
Feeds = dict[str, Array]
Logits = NDArray[np.float64]

FOLLOWERS: dict[Kind, str] = {
    "torch": "assay.export.localise.on_torch_steps",
    "tf": "assay.export.localise.on_tf_steps",
    "jax": "assay.export.localise.on_jax_steps",
}
MOST_RECORDS = 8
"""The number of records in one call: more of them tell values apart better, and take more memory."""
MOST_BYTES = 1 << 27
"""The most memory for the native model's values: the file's need as much again, as do both in order."""


class LocaliseRequest(Record):
    """A file and its model.

    Attributes:
        layout: layout of the file's images, "NHWC" or "NCHW", for our own models.
        records: .npy file of normalised float32 images, or of a user's records.
    """

    model: BuiltModel | UserModel
    file: Path
    layout: str = ""
    records: Path


class PartingsRequest(LocaliseRequest):
    """A file that may be wrong.

    Attributes:
        native: a user's model's own outputs for the first records; those of our models are computed.
        repro: folder for the repros, one folder for each node.
    """

    native: Path | None = None
    repro: Written


class DeparturesRequest(LocaliseRequest):
    """A file that is right, and runtimes that are wrong.

    Attributes:
        wrong: runtimes, by the names of `assay.export.localise.on_onnx_runners`.
        right: a runtime that computes the file correctly.
    """

    wrong: tuple[str, ...]
    right: str


PARTINGS = Job("assay.export.localise.localise_job", "partings", PartingsRequest, Localised)
DEPARTURES = Job("assay.export.localise.localise_job", "departures", DeparturesRequest, Localised)


def partings_of(request: PartingsRequest) -> list[Localisation]:
    """Return the nodes at which a file departs from its model, each with its repro; none where it does not.

    Raises:
        AssayError: the model cannot be followed.
    """
    from assay.export.localise.on_onnx_cause import causes  # noqa: PLC0415  onnx is imported in the job alone
    from assay.export.localise.on_onnx_localize import trace  # noqa: PLC0415
    from assay.export.localise.on_onnx_repro import refused_shapes, with_repros  # noqa: PLC0415

    model, proto, folder = request.model, read_model(request.file), request.repro
    followed, feeds = _user_followed(model, request) if isinstance(model, UserModel) else _ours_followed(model, request)
    with tempfile.TemporaryDirectory(prefix="assay-localise-") as place:
        wrong = trace(_inlined(proto, Path(place)), feeds)
    expected = dict(zip((one.name for one in model.outputs), followed.outputs.values(), strict=True))
    found = causes(followed.source, wrong, expected) or refused_shapes(proto, wrong)
    return with_repros(proto, wrong, found, folder, f"{folder.parent.name}/{folder.name}")


def _inlined(proto: ModelProto, folder: Path) -> Path:
    """Write the file with its functions inlined, so that their content is seen.

    Raises:
        TooLargeError: one file does not hold it.
    """
    import onnx  # noqa: PLC0415
    import onnx.inliner  # noqa: PLC0415

    path = folder / "inlined.onnx"
    if proto.functions:
        proto.CopyFrom(onnx.inliner.inline_local_functions(proto))
    if is_large(proto):
        raise TooLargeError(
            "Its intermediate values cannot be compared", expected=LIMIT, found=in_words(proto.ByteSize())
        )
    onnx.save(proto, path)
    return path


def _departures_of(request: DeparturesRequest) -> list[Localisation]:
    """Return the operators at which runtimes depart from float64 on a right file."""
    from assay.export.localise.on_onnx_runtimes import RuntimeOnFile, departures  # noqa: PLC0415

    feeds, right = _feeds_of(request), RuntimeOnFile(request.right, request.file)
    with tempfile.TemporaryDirectory(prefix="assay-asked-") as folder:
        return [
            one
            for wrong in request.wrong
            for one in departures(RuntimeOnFile(wrong, request.file), right, feeds, Path(folder))
        ]


def _feeds_of(request: DeparturesRequest) -> Feeds:
    """Return the inputs of one call with the first few records."""
    model = request.model
    if isinstance(model, BuiltModel):
        images = np.array(read_images(request.records, model.spec)[:MOST_RECORDS])
        return {INPUT_NAME: as_taken(images, request.layout)}
    records = load_array(request.records)
    count = 1 if model.whole else model.batch or min(len(records), MOST_RECORDS)
    return feeds_of(model, records[:count])


def _ours_followed(model: BuiltModel, request: PartingsRequest) -> tuple[Followed, Feeds]:
    """Follow one of our models, in NumPy layer by layer, on the image on which the file is furthest off."""
    from assay.export.localise.on_numpy_layers import follow  # noqa: PLC0415
    from assay.export.localise.on_onnx_localize import trace  # noqa: PLC0415

    images = np.array(read_images(request.records, model.spec)[:MOST_RECORDS])

    def feeds(some: Images) -> Feeds:
        return {INPUT_NAME: as_taken(some, request.layout).astype(np.float64)}

    def last(source: ExactComputation) -> Logits:
        return np.asarray(source.values[source.steps[-1].outputs[0]], np.float64)

    worst, wrong = 0, trace(request.file, feeds(images))
    if wrong.stopped is None:
        errors = np.abs(
            last(follow(model.spec, model.file, images)) - np.asarray(wrong.values[OUTPUT_NAME], np.float64)
        )
        worst = int(errors.max(axis=1).argmax())
    one = images[worst : worst + 1]
    source = follow(model.spec, model.file, one)
    return Followed(source, {OUTPUT_NAME: last(source)}), feeds(one)


def _user_followed(model: UserModel, request: PartingsRequest) -> tuple[Followed, Feeds]:
    """Follow a user's model on one call, starting with the records on which the file is furthest off.

    Raises:
        AssayError: the model cannot be followed.
    """
    from assay.export.reference.on_onnx_double import widened  # noqa: PLC0415

    if request.native is None:
        raise InputError(
            f"{model.name}: its intermediate values cannot be compared", expected="its own outputs", found="none"
        )
    records = load_array(request.records)
    worst = worst_records(request.file, model, records, load_array(request.native))
    followed, inputs = _followed_on(model, records, worst)
    return followed, {one.name: widened(array) for one, array in zip(model.inputs, inputs, strict=True)}


def _followed_on(model: UserModel, records: Records, worst: Sequence[int]) -> tuple[Followed, list[Array]]:
    """Follow the native model on one call, and return that call's inputs; in float64 where it computes the same in
    that.

    Raises:
        AssayError: the model cannot be followed.
    """
    follow: Follow = importlib.import_module(FOLLOWERS[model.kind]).follow
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
    """Return whether two outputs are the same to the rounding of the model's own precision."""
    if exact.shape != native.shape:
        return False
    if is_whole(exact.dtype) or is_whole(native.dtype):
        return not differences(exact, native).differing
    return distance(wide(native), wide(exact)) <= ceiling


def _follow_partings(request: PartingsRequest) -> Localised:
    """Follow the model and its file."""
    return Localised(found=partings_of(request))


def _follow_departures(request: DeparturesRequest) -> Localised:
    """Run a right file in each wrong runtime, node by node."""
    return Localised(found=_departures_of(request))


if __name__ == "__main__":
    serve_job(PARTINGS.done_by(_follow_partings), DEPARTURES.done_by(_follow_departures))
