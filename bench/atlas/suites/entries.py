"""All suites by name. A new one is an entry here and the file that reads it; the contract tests then run over it."""

from __future__ import annotations

from assay.bench.atlas.suites.suite import Suite
from assay.runtimes import openvino

SUITES = {
    "opinfo": Suite(
        title="PyTorch's OpInfo",
        module="assay.bench.atlas.suites.on_torch_opinfo",
        kind="torch",
        form="function",
        function="build",
        routes=("torch-dynamo", "torch-script"),
        packages=("torch", "onnxscript", "onnx", "onnxruntime"),
        extra="atlas",
    ),
    "onnx": Suite(
        title="ONNX's backend cases",
        module="assay.bench.atlas.suites.on_onnx_cases",
        kind="onnx",
        form="onnx",
        function="",
        routes=("onnxruntime", openvino.FAMILY.name, "evaluator"),
        packages=("onnx", "onnxruntime", *openvino.FAMILY.packages),
    ),
}
