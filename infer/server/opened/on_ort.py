"""An ONNX file in ONNX Runtime, as Triton's onnxruntime backend runs it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

NAMES = {"float": "float32", "double": "float64"}  # NumPy's, where they are not ONNX's own


class OpenedByOrt:
    """A function from inputs by name to outputs.

    Attributes:
        inputs, outputs: by name, NumPy's name of their types.
    """

    def __init__(self, path: str | Path, options: Mapping[str, str]) -> None:
        made = onnxruntime.SessionOptions()
        made.intra_op_num_threads = int(options.get("intra_op_thread_count", 1))
        made.inter_op_num_threads = int(options.get("inter_op_thread_count", 1))
        made.log_severity_level = 3
        if options.get("optimization") == "none":
            made.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        self._session = onnxruntime.InferenceSession(path, made, providers=["CPUExecutionProvider"])
        self.inputs = {one.name: _type(one.type) for one in self._session.get_inputs()}
        self.outputs = {one.name: _type(one.type) for one in self._session.get_outputs()}

    def __call__(self, inputs: Mapping[str, NDArray[Any]], outputs: Sequence[str]) -> list[NDArray[Any]]:
        found = self._session.run(list(outputs), dict(inputs))
        return [np.asarray(one) for one in found]


def _type(text: str) -> str:
    """NumPy's name of "tensor(float)"."""
    inner = text.removeprefix("tensor(").removesuffix(")")
    return NAMES.get(inner, inner)


def open_model(
    path: str | Path, options: Mapping[str, str], inputs: Mapping[str, str], outputs: Mapping[str, str]
) -> OpenedByOrt:
    """The file, one thread each where the options say nothing; onnxruntime's own exceptions where it is refused.

    Its inputs and outputs are those that the file says, whatever others are expected.
    """
    del inputs, outputs
    return OpenedByOrt(path, options)
