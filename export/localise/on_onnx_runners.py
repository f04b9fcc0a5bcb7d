"""An ONNX file run once, in ONNX Runtime at any of its optimisation levels or in OpenVINO."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnxruntime as ort

from assay.errors import InputError
from assay.export.checking.lacking import not_run
from assay.export.graph.inspect import one_line, read_model
from assay.export.localise.source import Array
from assay.export.reference.on_onnx_double import evaluate
from assay.numerics.guilt import EVALUATOR, MAKERS, OPENVINO_AS_IT_COMES, UNOPTIMISED
from assay.numerics.guilt import OPENVINO as FP32

NATIVE_LEVEL = UNOPTIMISED
LEVELS = {
    NATIVE_LEVEL: ort.GraphOptimizationLevel.ORT_DISABLE_ALL,
    "basic": ort.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    "extended": ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    "all": ort.GraphOptimizationLevel.ORT_ENABLE_ALL,
}
OPENVINO = {FP32: {"INFERENCE_PRECISION_HINT": "f32"}, OPENVINO_AS_IT_COMES: {}}
"""Left alone, it may compute in bf16 where the processor can."""


def run_in(runtime: str, path: Path, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """The outputs of a file by name; one with several names is there under each, and other values may be too.

    Args:
        runtime: a key of `LEVELS` or `OPENVINO`, or onnx's reference evaluator in the file's own types.
        feeds: inputs by name.

    Raises:
        InputError: the runtime is not installed, or does not load or run the file.
    """
    if runtime == EVALUATOR:
        return evaluate(read_model(path), feeds, path.name)
    return _in_openvino(runtime, path, feeds) if runtime in OPENVINO else _in_onnxruntime(runtime, path, feeds)


def called(runtime: str) -> str:
    """What a runtime is called in a record."""
    if runtime == EVALUATOR:
        return MAKERS[EVALUATOR]
    return runtime if runtime in OPENVINO else f"onnxruntime, {runtime}"


def _in_onnxruntime(level: str, path: Path, feeds: Mapping[str, Array]) -> dict[str, Array]:
    options = ort.SessionOptions()
    options.graph_optimization_level = LEVELS[level]
    options.log_severity_level = 4
    try:
        session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        return dict(zip(names, map(np.asarray, session.run(names, dict(feeds))), strict=True))
    except Exception as error:  # its exceptions have no common base
        raise InputError(not_run("ONNX Runtime", path.name, str(error)), found=one_line(error)) from error


def _in_openvino(runtime: str, path: Path, feeds: Mapping[str, Array]) -> dict[str, Array]:
    try:
        import openvino  # noqa: PLC0415  an extra that not everyone has

        compiled = openvino.Core().compile_model(path, "CPU", OPENVINO[runtime])
        found = compiled(dict(feeds))
        return {name: np.array(found[output]) for output in compiled.outputs for name in output.get_names()}
    except Exception as error:  # its exceptions have no common base
        raise InputError(not_run("OpenVINO", path.name, str(error)), found=one_line(error)) from error
