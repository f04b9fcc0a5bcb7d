"""Images pushed to where a model changes its mind, in a process of their own: `find_boundary` starts it.

There the smallest error flips the class, so that a flip says how small an error has to be.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from assay.jobs import Channel, Message, run_job, serve_job
from assay.registry import FRAMEWORKS
from assay.spec import ModelSpec
from assay.store import read_artifact
from export.reference import CPU_ONLY, LIMIT_SECONDS, read_images, spec_of
from export.request import Images

Search = Callable[[ModelSpec, Path, Images], tuple[Images, NDArray[np.float64]]]


def find_boundary(weights: Path, images: Path, out: Path, log: Path) -> list[float]:
    """Push every image to the decision boundary by PyTorch's gradients and write the new ones to `out` (.npy).

    Args:
        weights: folder of a weights artifact.
        images: .npy of normalised float32 images to start from.

    Returns:
        The float64 margin between the two largest logits of each image found; near 0.

    Raises:
        InputError: weights or images cannot be used.
        WorkerError: the job crashed or took too long.
    """
    request: Message = {"weights": str(weights), "images": str(images), "out": str(out)}
    answer = run_job("export.boundary_job", request, log, limit_seconds=LIMIT_SECONDS, environment=CPU_ONLY)
    return cast("list[float]", answer["margins"])


def _work(request: Message, channel: Channel) -> Message:
    del channel
    weights = read_artifact(Path(str(request["weights"])), "weights")
    spec = spec_of(weights)
    images = np.array(read_images(Path(str(request["images"])), spec))
    entry = replace(FRAMEWORKS["torch"], target="export.on_torch_gradient:push_to_boundary")
    found, margins = cast("Search", entry.load())(spec, weights.file("weights.safetensors"), images)
    np.save(str(request["out"]), found)
    return {"margins": margins.tolist()}


if __name__ == "__main__":
    serve_job(_work)
