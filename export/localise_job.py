"""Where an export of our weights goes wrong, in a process of its own: `find_partings` starts it.

The native model's values in float64, canonical layer by canonical layer, are held against the file's: first the layer
after which nothing is right any more is found, then the node inside of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
from pydantic import JsonValue

from assay.audit import Localisation
from assay.jobs import Channel, Message, run_job, serve_job
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


def _work(request: Message, channel: Channel) -> Message:
    from export.on_onnx_localize import partings, trace  # noqa: PLC0415  onnx is imported in the job alone
    from export.on_onnx_repro import with_repros  # noqa: PLC0415

    del channel
    weights = read_artifact(Path(str(request["weights"])), "weights")
    spec = spec_of(weights)
    images = np.array(read_images(Path(str(request["images"])), spec)[:IMAGES])
    follow = cast("Follow", replace(FRAMEWORKS["torch"], target="export.on_torch_layers:follow").load())
    weights_file, candidate = weights.file("weights.safetensors"), Path(str(request["candidate"]))

    def feeds(some: Images) -> dict[str, np.ndarray]:
        turned = some.transpose(0, 3, 1, 2) if request["layout"] == "NCHW" else some
        return {INPUT_NAME: np.ascontiguousarray(turned, dtype=np.float64)}

    def last(source: Source) -> np.ndarray:
        return np.asarray(source.values[source.steps[-1].outputs[0]])

    worst = 0
    wrong = trace(candidate, feeds(images))
    if wrong.stopped is None:
        errors = np.abs(last(follow(spec, weights_file, images)) - wrong.values[OUTPUT_NAME])
        worst = int(errors.max(axis=1).argmax())
    one = images[worst : worst + 1]
    source, wrong = follow(spec, weights_file, one), trace(candidate, feeds(one))
    found = partings(source, wrong, {OUTPUT_NAME: last(source)})
    folder = Path(str(request["repro"]))
    told = with_repros(read_model(candidate), wrong, found, folder, f"{folder.parent.name}/{folder.name}")
    return {"found": [one.model_dump(mode="json") for one in told]}


if __name__ == "__main__":
    serve_job(_work)
