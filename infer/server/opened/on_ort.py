"""An ONNX file in ONNX Runtime, as Triton's onnxruntime backend runs it: on the CPU, or with accelerators on a GPU."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

NAMES = {"float": "float32", "double": "float64"}  # NumPy's, where they are not ONNX's own
PROVIDERS = {"cuda": "CUDAExecutionProvider", "tensorrt": "TensorrtExecutionProvider"}
PRECISIONS = {"FP16": {"trt_fp16_enable": "1"}, "BF16": {"trt_bf16_enable": "1"}}
"""Options of ONNX Runtime for TensorRT, by the names that Triton's backend has for its precision."""


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
        wanted = _providers(options.get("accelerators", ""))
        self._session = onnxruntime.InferenceSession(path, made, providers=wanted)
        if self._session.get_providers()[0] != wanted[0][0]:
            raise RuntimeError(f"{wanted[0][0]} did not start: there is {', '.join(self._session.get_providers())}")
        self.inputs = {one.name: _type(one.type) for one in self._session.get_inputs()}
        self.outputs = {one.name: _type(one.type) for one in self._session.get_outputs()}

    def __call__(self, inputs: Mapping[str, NDArray[Any]], outputs: Sequence[str]) -> list[NDArray[Any]]:
        found = self._session.run(list(outputs), dict(inputs))
        return [np.asarray(one) for one in found]


def _providers(accelerators: str) -> list[tuple[str, dict[str, str]]]:
    """ONNX Runtime's providers for Triton's accelerators and their options, which are JSON; RuntimeError where this
    onnxruntime lacks one.
    """
    if not accelerators:
        return [("CPUExecutionProvider", {})]
    onnxruntime.preload_dlls()
    found = []
    for name, told in json.loads(accelerators).items():
        further = PRECISIONS.get(told.pop("precision_mode", ""), {})
        found.append((PROVIDERS[name], {**told, **further}))
    there = onnxruntime.get_available_providers()
    missing = [name for name, _ in found if name not in there]
    if missing:
        raise RuntimeError(f"this onnxruntime has no {missing[0]}, only {', '.join(there)}")
    return found


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
