"""A single run of an ONNX file, in ONNX Runtime at any of its optimisation levels or in OpenVINO."""

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
"""OpenVINO's properties; by default it may compute in bf16 where the processor can."""


HINTS = {"f32": "fp32", "bf16": "bf16", "f16": "fp16"}
"""Our names of the precisions that OpenVINO may compute in, by its names."""


def run_in(runtime: str, path: Path, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """Return the outputs of a file by name; one with several names is there under each, and other values may be too.

    Args:
        runtime: a key of `LEVELS` or `OPENVINO`, or onnx's reference evaluator in the file's own types.
        feeds: inputs by name.

    Raises:
        InputError: the runtime is not installed, or does not load or run the file.
    """
    return run_and_tell(runtime, path, feeds)[0]


def run_and_tell(runtime: str, path: Path, feeds: Mapping[str, Array]) -> tuple[dict[str, Array], str]:
    """Return the same, and the precision that the runtime says it computes in; "" for the file's own.

    Raises:
        InputError: as for `run_in`.
    """
    if runtime == EVALUATOR:
        return evaluate(read_model(path), feeds, path.name), ""
    return _in_openvino(runtime, path, feeds) if runtime in OPENVINO else (_in_onnxruntime(runtime, path, feeds), "")


def called(runtime: str) -> str:
    """Return the name of a runtime in records."""
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


def _in_openvino(runtime: str, path: Path, feeds: Mapping[str, Array]) -> tuple[dict[str, Array], str]:
    try:
        import openvino  # noqa: PLC0415  an extra that not everyone has

        compiled = openvino.Core().compile_model(path, "CPU", OPENVINO[runtime])
        found = compiled(dict(feeds))
        told = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
        outputs = {name: np.array(found[output]) for output in compiled.outputs for name in output.get_names()}
        return outputs, HINTS.get(told, told)
    except Exception as error:  # its exceptions have no common base
        raise InputError(not_run("OpenVINO", path.name, str(error)), found=one_line(error)) from error
