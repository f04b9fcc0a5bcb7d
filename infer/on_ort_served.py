"""A deployed graph in onnxruntime, without a server around it: what the server's cost is measured against."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from assay.errors import ArtifactError

Ask = Callable[[NDArray[np.uint8]], tuple[NDArray[np.float32], NDArray[np.int64]]]


def open_served(path: Path, threads: int, names: tuple[str, str, str]) -> Ask:
    """The graph as a function from images to probabilities and labels, with the options that the server gives it.

    Args:
        names: of the input, the probabilities and the label.

    Raises:
        ArtifactError: onnxruntime refuses the file.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    try:
        session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's exceptions share no base but this
        raise ArtifactError(f"onnxruntime cannot load {path}", found=str(error)) from error
    image, *outputs = names

    def ask(images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        probabilities, labels = session.run(outputs, {image: images})
        return probabilities, labels

    return ask
