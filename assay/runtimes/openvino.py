"""OpenVINO on the CPU, in fp32 unless it is told otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from assay.runtimes.entry import AS_IT_COMES, Family, Looks, RuntimeEntry, ServedBy
from assay.spec import OPENVINO_FILE

FAMILY = Family(
    name="openvino",
    words="OpenVINO",
    framework="onnx",
    looks=Looks(
        "triangle-right",
        ("#00857a", "#2a9d8f", "#00524a", "#4f9a7d", "#3f8f9a"),
        ("#3fc7b0", "#8ce0d0", "#1fa38f", "#7cd0a0", "#62bcc9"),
    ),
    place=4,
    library="openvino",
    probe="assay.infer.probe:openvino",
    needed_for="the openvino runtime (optional)",
    packages=("openvino",),
    licences={"openvino": "Apache-2.0", "nncf": "Apache-2.0"},
    extra="openvino",
    profiler="assay.infer.profile.on_openvino:OpenVinoRecorder",
)
OPERATORS = "assay.bench.auditing.operators.on_onnx:operators"


F32 = {"INFERENCE_PRECISION_HINT": "f32"}


def _served_in(precision: Mapping[str, str]) -> ServedBy:
    """Return how a runtime in this precision is served; an empty mapping of OpenVINO's properties lets it choose."""
    options = {"INFERENCE_NUM_THREADS": "{threads}", "NUM_STREAMS": "1", "PERFORMANCE_HINT": "LATENCY", **precision}
    return ServedBy(
        backend="python",
        file="model.onnx",
        opener="assay.infer.server.opened.on_openvino",
        options=options,
        otherwise={"LP_TRANSFORMS_MODE": "NO"},
        packages=("openvino", "numpy"),
        why=(
            "Triton's own openvino backend cannot be told to compute in fp32 and computes in bf16 where the processor "
            "has it, and fills every request up to the largest batch"
        ),
        model_server=options,
    )


SERVED_INT8 = replace(
    _served_in(F32), file=OPENVINO_FILE, beside=("model.bin",), wrapper="assay.export.served.on_openvino:with_pixels"
)
"""How models made by NNCF are served: integers are in the file, and all else is computed in fp32."""
entry = partial(RuntimeEntry, family=FAMILY, formats=("onnx",))
FP32 = entry(
    name="openvino",
    target="assay.infer.runtimes.on_openvino:load",
    summary="OpenVINO on the CPU, fp32 inference precision",
    words="OpenVINO",
    served_by=_served_in(F32),
    operators=OPERATORS,
    runner="openvino",
    unasked=("model", "file"),
)
BF16 = entry(
    name="openvino.bf16",
    target="assay.infer.runtimes.on_openvino:load_bf16",
    summary="OpenVINO on the CPU, bf16 inference precision",
    words="OpenVINO in bf16",
    precision="bf16",
    reduces=FP32.name,
    shape="wedge",
    served_by=_served_in({"INFERENCE_PRECISION_HINT": "bf16"}),
    operators=OPERATORS,
)
DEFAULT = entry(
    name="openvino.default",
    target="assay.infer.runtimes.on_openvino:load_as_it_comes",
    summary="OpenVINO on the CPU as it comes, in bf16 where the processor has it",
    words="OpenVINO as it comes",
    precision=AS_IT_COMES,
    reduces=FP32.name,
    shape="arrow",
    served_by=_served_in({}),
    operators=OPERATORS,
    runner="openvino as it comes",
)
quantised = partial(
    entry,
    target="assay.infer.runtimes.on_openvino:load_int8",
    precision="int8",
    reduces=FP32.name,
    calibrated=True,
    served_by=SERVED_INT8,
    extra="nncf",
    needs=("nncf",),
)
NNCF = quantised(
    name="openvino.nncf",
    summary="OpenVINO on the CPU, int8 by NNCF",
    words="OpenVINO in int8 by NNCF",
    shape="triangle-left",
    maker="assay.export.programs.on_nncf:make_int8",
)
ACCURATE = quantised(
    name="openvino.nncf.accurate",
    summary="OpenVINO on the CPU, int8 by NNCF with accuracy control, for five minutes at most",
    words="OpenVINO in int8 by NNCF with accuracy control",
    shape="triangle-up",
    maker="assay.export.programs.on_nncf:make_int8_with_accuracy_control",
)
ENTRIES = (FP32, BF16, DEFAULT, NNCF, ACCURATE)
