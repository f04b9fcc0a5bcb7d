"""The precision of OpenVINO: the executed graph tells it for every layer."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import openvino as ov

from assay.infer.observing.observed import Observed, observed_of, of_each
from assay.infer.observing.on_onnx import counts_of_file
from assay.numerics.precisions import is_floating, least_exact, precision_named

ARITHMETIC = (
    "Convolution", "Deconvolution", "FullyConnected", "MatMul", "Gemm", "RNN", "LSTM", "GRU", "ScaledDotProduct",
    "PagedAttention", "LLMMLP", "QKVProjection",
)  # fmt: skip
NO_WORK = ("Input", "Output", "Const", "Reorder", "Convert", "Reshape", "Transpose")


def observe(file: Path | None, compiled: ov.CompiledModel) -> Observed:
    """Observe the precision of a compiled model's layers, and that of its file."""
    arithmetic: Counter[str] = Counter()
    others: Counter[str] = Counter()
    for layer in compiled.get_runtime_model().get_ops():
        told = layer.get_rt_info()
        kind = str(told["layerType"].astype(str)) if "layerType" in told else layer.get_type_name()
        precision = precision_named(str(told["runtimePrecision"].astype(str))) if "runtimePrecision" in told else ""
        if kind.startswith(ARITHMETIC) and precision:
            arithmetic[precision] += 1
        elif is_floating(precision) and not kind.startswith(NO_WORK):
            others[precision] += 1
    devices = [name.lower() for name in compiled.get_property("EXECUTION_DEVICES")]
    tensors = [(str(one.get_element_type().to_string()), " and ".join(devices)) for one in compiled.outputs]
    found = observed_of(arithmetic, others, devices, of_each(tensors))
    of_file = counts_of_file(file) if file else ({}, {})
    model = least_exact(of_file[0]) or least_exact(of_file[1])
    return Observed(
        found.device, least_exact([found.precision, model]), computed=found.precision, model=model, facts=found.facts
    )
