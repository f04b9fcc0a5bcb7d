"""Where an export of our weights goes wrong, in a process of its own: `find_partings` starts it.

The native model's values in float64, canonical layer by canonical layer, are held against the file's: first the layer
after which nothing is right any more is found, then the node inside of it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
from pydantic import JsonValue

from assay.arrays_on_disk import map_array
from assay.jobs import Channel, Message, run_job, serve_job
from assay.localisation import Localisation
from assay.registry import FRAMEWORKS
from assay.spec import INPUT_NAME, OUTPUT_NAME, ModelSpec
from assay.store import read_artifact
from export.inspect import read_model
from export.reference import CPU_ONLY, read_images, spec_of
from export.request import Images
from export.source import Source

IMAGES = 8
LIMIT_SECONDS = 900

Follow = Callable[[ModelSpec, Path, Images], Source]


def find_partings(
    weights: Path, images: Path, candidate: Path, layout: str, repro: Path, log: Path
) -> list[Localisation]:
    """The nodes at which a file made from weights parts from them, each with its repro; none where it is right.

    Args:
        weights: folder of a weights artifact.
        images: .npy of normalised float32 images; the one on which the file is furthest off is followed.
        layout: of the file's input, "NHWC" or "NCHW".
        repro: takes one folder for each node.

    Raises:
        InputError: weights, images or file cannot be used.
        WorkerError: the job crashed or took too long.
    """
    request: Message = {
        "weights": str(weights),
        "images": str(images),
        "candidate": str(candidate),
        "layout": layout,
        "repro": str(repro),
    }
    answer = run_job("export.localise_job", request, log, limit_seconds=LIMIT_SECONDS, environment=CPU_ONLY)
    return [Localisation.model_validate(one) for one in cast("list[JsonValue]", answer["found"])]


def find_departures(
    images: Path, file: Path, layout: str, wrong: Sequence[str], right: str, log: Path
) -> list[Localisation]:
    """The operators at which runtimes depart from float64 on a file that is right; none where they cannot be followed.

    Args:
        images: .npy of normalised float32 images, of which the first few are run.
        layout: of the file's input, "NHWC" or "NCHW".
        wrong: runtimes, as `export.on_onnx_runners` calls them; `right` is one that computes the file rightly.

    Raises:
        InputError: images or file cannot be used.
        WorkerError: the job crashed or took too long.
    """
    request: Message = {
        "do": "departures",
        "images": str(images),
        "candidate": str(file),
        "layout": layout,
        "wrong": list(wrong),
        "right": right,
    }
    answer = run_job("export.localise_job", request, log, limit_seconds=LIMIT_SECONDS, environment=CPU_ONLY)
    return [Localisation.model_validate(one) for one in cast("list[JsonValue]", answer["found"])]


def _work(request: Message, channel: Channel) -> Message:
    del channel
    found = _departures(request) if request.get("do") == "departures" else _partings(request)
    return {"found": [one.model_dump(mode="json") for one in found]}


def _departures(request: Message) -> list[Localisation]:
    from export.on_onnx_runtimes import Run, departures  # noqa: PLC0415  onnx is imported in the job alone

    images = np.array(map_array(Path(str(request["images"])))[:IMAGES])
    feeds = {INPUT_NAME: _as_taken(images, str(request["layout"]))}
    file = Path(str(request["candidate"]))
    right = Run(str(request["right"]), file)
    with tempfile.TemporaryDirectory(prefix="assay-asked-") as folder:
        return [
            found
            for wrong in cast("list[str]", request["wrong"])
            for found in departures(Run(wrong, file), right, feeds, Path(folder))
        ]


def _as_taken(images: Images, layout: str) -> Images:
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2) if layout == "NCHW" else images)


def _partings(request: Message) -> list[Localisation]:
    from export.on_onnx_cause import causes  # noqa: PLC0415  onnx is imported in the job alone
    from export.on_onnx_localize import trace  # noqa: PLC0415
    from export.on_onnx_repro import with_repros  # noqa: PLC0415

    weights = read_artifact(Path(str(request["weights"])), "weights")
    spec = spec_of(weights)
    images = np.array(read_images(Path(str(request["images"])), spec)[:IMAGES])
    follow = cast("Follow", replace(FRAMEWORKS["torch"], target="export.on_torch_layers:follow").load())
    weights_file, candidate = weights.file("weights.safetensors"), Path(str(request["candidate"]))

    def feeds(some: Images) -> dict[str, np.ndarray]:
        return {INPUT_NAME: _as_taken(some, str(request["layout"])).astype(np.float64)}

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
    folder = Path(str(request["repro"]))
    return with_repros(read_model(candidate), wrong, found, folder, f"{folder.parent.name}/{folder.name}")


if __name__ == "__main__":
    serve_job(_work)
