"""Where an export of our weights goes wrong, in a process of its own: `find_partings` starts it.

The native model's values in float64, canonical layer by canonical layer, are held against the file's: first the layer
after which nothing is right any more is found, then the node inside of it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np

from assay.export.graph.inspect import read_model
from assay.export.localise.source import Source
from assay.export.reference.reference import CPU_ONLY, read_images, spec_of
from assay.export.routes.request import Images
from assay.files.arrays import map_array
from assay.jobs.files import Written
from assay.jobs.host import Starter
from assay.jobs.job import Job
from assay.jobs.process import HERE
from assay.jobs.running import run_job
from assay.jobs.serving import serve_job
from assay.records.base import Record
from assay.records.localisation import Localisation, Localised
from assay.registry import FRAMEWORKS
from assay.spec import INPUT_NAME, OUTPUT_NAME, ModelSpec
from assay.steps import Limit
from assay.store import read_artifact

IMAGES = 8
LIMIT_SECONDS = 900

Follow = Callable[[ModelSpec, Path, Images], Source]


class PartingsRequest(Record):
    """A file made from weights.

    Attributes:
        weights: folder of a weights artifact.
        images: .npy of normalised float32 images; the one on which the file is furthest off is followed.
        layout: of the file's input, "NHWC" or "NCHW".
        repro: takes one folder for each node.
    """

    weights: Path
    images: Path
    candidate: Path
    layout: str
    repro: Written


class DeparturesRequest(Record):
    """A file that is right, and runtimes that are not.

    Attributes:
        images: .npy of normalised float32 images, of which the first few are run.
        layout: of the file's input, "NHWC" or "NCHW".
        wrong: runtimes, as `assay.export.localise.on_onnx_runners` calls them; `right` is one that computes the file
            rightly.
    """

    images: Path
    file: Path
    layout: str
    wrong: tuple[str, ...]
    right: str


PARTINGS = Job("assay.export.localise.localise_job", "partings", PartingsRequest, Localised)
DEPARTURES = Job("assay.export.localise.localise_job", "departures", DeparturesRequest, Localised)


def find_partings(request: PartingsRequest, log: Path, *, host: Starter = HERE) -> list[Localisation]:
    """The nodes at which a file made from weights parts from them, each with its repro; none where it is right.

    Raises:
        InputError: weights, images or file cannot be used.
        WorkerError: the job crashed or took too long.
    """
    return run_job(
        PARTINGS,
        request,
        log,
        limit_seconds=Limit(LIMIT_SECONDS, f"Following {request.candidate.name}"),
        environment=CPU_ONLY,
        host=host,
    ).found


def find_departures(request: DeparturesRequest, log: Path, *, host: Starter = HERE) -> list[Localisation]:
    """The operators at which runtimes depart from float64 on a file that is right; none where they cannot be followed.

    Raises:
        InputError: images or file cannot be used.
        WorkerError: the job crashed or took too long.
    """
    return run_job(
        DEPARTURES,
        request,
        log,
        limit_seconds=Limit(LIMIT_SECONDS, f"Following {request.file.name}"),
        environment=CPU_ONLY,
        host=host,
    ).found


def follow_departures(request: DeparturesRequest) -> Localised:
    """Run the file in each wrong runtime, node by node."""
    from assay.export.localise.on_onnx_runtimes import Run, departures  # noqa: PLC0415  onnx is imported in the job alone

    images, file = np.array(map_array(request.images)[:IMAGES]), request.file
    feeds = {INPUT_NAME: _as_taken(images, request.layout)}
    right = Run(request.right, file)
    with tempfile.TemporaryDirectory(prefix="assay-asked-") as folder:
        found = [one for wrong in request.wrong for one in departures(Run(wrong, file), right, feeds, Path(folder))]
    return Localised(found=found)


def _as_taken(images: Images, layout: str) -> Images:
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2) if layout == "NCHW" else images)


def follow_partings(request: PartingsRequest) -> Localised:
    """Hold the file against its weights, layer by layer and then node by node."""
    from assay.export.localise.on_onnx_cause import causes  # noqa: PLC0415  onnx is imported in the job alone
    from assay.export.localise.on_onnx_localize import trace  # noqa: PLC0415
    from assay.export.localise.on_onnx_repro import with_repros  # noqa: PLC0415

    weights = read_artifact(request.weights, "weights")
    spec = spec_of(weights)
    images = np.array(read_images(request.images, spec)[:IMAGES])
    follow = cast("Follow", replace(FRAMEWORKS["torch"], target="assay.export.localise.on_torch_layers:follow").load())
    weights_file, candidate = weights.file("weights.safetensors"), request.candidate

    def feeds(some: Images) -> dict[str, np.ndarray]:
        return {INPUT_NAME: _as_taken(some, request.layout).astype(np.float64)}

    def last(source: Source) -> np.ndarray:
        return np.asarray(source.values[source.steps[-1].outputs[0]])

    worst = 0
    wrong = trace(candidate, feeds(images))
    if wrong.stopped is None:
        errors = np.abs(last(follow(spec, weights_file, images)) - wrong.values[OUTPUT_NAME])
        worst = int(errors.max(axis=1).argmax())
    one = images[worst : worst + 1]
    source, wrong = follow(spec, weights_file, one), trace(candidate, feeds(one))
    found = causes(source, wrong, {OUTPUT_NAME: last(source)})
    folder = request.repro
    name = f"{folder.parent.name}/{folder.name}"
    return Localised(found=with_repros(read_model(candidate), wrong, found, folder, name))


if __name__ == "__main__":
    serve_job(PARTINGS.done_by(follow_partings), DEPARTURES.done_by(follow_departures))
