"""A deployed graph in onnxruntime, without a server around it: what the server's cost is measured against."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import onnxruntime as ort

from assay.errors import ArtifactError
from assay.infer.runtimes.same_for_all import onnxruntime_options
from assay.numerics.served import Array
from assay.spec import Settings

Ask = Callable[[Mapping[str, Array]], Sequence[Array]]


def open_served(path: Path, threads: int, outputs: Sequence[str]) -> Ask:
    """The graph as a function from inputs by name to these outputs, with the options that the server gives it.

    Raises:
        ArtifactError: onnxruntime refuses the file.
    """
    try:
        session = ort.InferenceSession(path, onnxruntime_options(Settings(threads)), providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's exceptions share no base but this
        raise ArtifactError(f"onnxruntime cannot load {path}", found=str(error)) from error
    names = list(outputs)

    def ask(inputs: Mapping[str, Array]) -> Sequence[Array]:
        found: Sequence[Array] = session.run(names, inputs)
        return found

    return ask
