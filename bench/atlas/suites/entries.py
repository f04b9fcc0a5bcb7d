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
    "jax": Suite(
        title="JAX's primitive harnesses",
        module="assay.bench.atlas.suites.on_jax_harnesses",
        kind="jax",
        form="function",
        function="operator",
        routes=("jax2onnx", "jax2tf"),
        packages=("jax", "jaxlib", "jax2onnx", "onnx", "onnxruntime"),
        extra="jax",
    ),
    "keras": Suite(
        title="Keras' layers",
        module="assay.bench.atlas.suites.on_keras_layers",
        kind="tf",
        form="function",
        function="build",
        routes=("tf2onnx",),
        packages=("keras", "tensorflow", "tf2onnx", "onnx", "onnxruntime"),
        extra="tf",
    ),
    "onnx": Suite(
        title="ONNX's backend cases",
        module="assay.bench.atlas.suites.on_onnx_cases",
        kind="onnx",
        form="onnx",
        function="",
        routes=("onnxruntime", openvino.FAMILY.name, "evaluator"),
        packages=("onnx", "onnxruntime", *openvino.FAMILY.packages),
        runs_in={
            "onnxruntime": ("onnxruntime",),
            openvino.FAMILY.name: openvino.FAMILY.packages,
            "evaluator": ("onnx",),
        },
    ),
}
