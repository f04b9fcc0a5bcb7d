"""A deployed graph in onnxruntime, without a server around it: what the server's cost is measured against."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import onnxruntime as ort

from assay.errors import ArtifactError
from assay.numerics.served import Array

Ask = Callable[[Mapping[str, Array]], Sequence[Array]]


def open_served(path: Path, threads: int, outputs: Sequence[str]) -> Ask:
    """The graph as a function from inputs by name to these outputs, with the options that the server gives it.

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
    names = list(outputs)

    def ask(inputs: Mapping[str, Array]) -> Sequence[Array]:
        found: Sequence[Array] = session.run(names, inputs)
        return found

    return ask
