"""Whether deployable graphs keep the contract, load and run: `python -P -m export.contract_check_job`."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np

from assay.jobs import Channel, Message, serve_job
from assay.spec import ModelSpec
from export.contract import check_contract
from export.contract_job import check_answers, run_graph, session_of


def work(message: Message, channel: Channel) -> Message:
    """Check each of `models` on the raw pixels of `image`, alone and `most_images` times in one batch.

    Raises:
        ArtifactError: one is no ONNX file.
        ExportFailedError: one has another contract, does not load or run, or gives no probabilities.
    """
    import onnxruntime as ort  # noqa: PLC0415

    del channel
    size, channels, classes, most = (
        cast("int", message[name]) for name in ("size", "channels", "classes", "most_images")
    )
    spec = ModelSpec("deployed", size, classes, channels)
    image = np.fromfile(str(message["image"]), np.uint8).reshape(1, *spec.image_shape)
    for name in cast("list[str]", message["models"]):
        path = Path(name)
        check_contract(path, spec)
        session = session_of(path, 1, ort.GraphOptimizationLevel.ORT_ENABLE_ALL)
        for batch in (1, most):
            check_answers(*run_graph(session, np.repeat(image, batch, axis=0), batch))
    return {}


if __name__ == "__main__":
    serve_job(work)
