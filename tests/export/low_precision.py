"""Small ONNX files in every precision that people have, made of two in fp32 by the tools that people use."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)
from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer
from onnxruntime.transformers.float16 import convert_float_to_float16

from tests.onnx_files import onnx_model

FILE = "model.onnx"


class _Drawn(CalibrationDataReader):  # type: ignore[misc, unused-ignore]
    def __init__(self, shape: tuple[int, ...]) -> None:
        random = np.random.default_rng(7)
        self._left = [random.standard_normal(shape).astype(np.float32) for _ in range(16)]

    def get_next(self) -> dict[str, NDArray[Any]] | None:
        return {"x": self._left.pop()} if self._left else None


def _weights(*shape: int, seed: int) -> NDArray[np.float32]:
    fan = np.prod(shape[1:]) if len(shape) > 2 else shape[0]
    return (np.random.default_rng(seed).standard_normal(shape) / np.sqrt(fan)).astype(np.float32)


def _model(nodes: list[Any], weights: dict[str, NDArray[Any]], shape: list[Any], opset: int = 17) -> ModelProto:
    return onnx_model(nodes, {"x": shape}, {"y": [shape[0], 5]}, weights, opset=opset, ir_version=9)


def convolutions() -> ModelProto:
    """Two convolutions with a sum, a pool and a product."""
    nodes = [
        helper.make_node("Conv", ["x", "w1", "b1"], ["c1"], "conv1", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c1"], ["r1"]),
        helper.make_node("Conv", ["r1", "w2", "b2"], ["c2"], "conv2", pads=[1, 1, 1, 1], group=2),
        helper.make_node("Sigmoid", ["c2"], ["s2"]),
        helper.make_node("Add", ["r1", "s2"], ["a"]),
        helper.make_node("GlobalAveragePool", ["a"], ["g"]),
        helper.make_node("Flatten", ["g"], ["f"]),
        helper.make_node("Gemm", ["f", "w3", "b3"], ["y"], "gemm", transB=1),
    ]
    weights = {
        "w1": _weights(8, 3, 3, 3, seed=1), "b1": _weights(8, seed=2), "w2": _weights(8, 4, 3, 3, seed=3),
        "b2": _weights(8, seed=4), "w3": 3 * _weights(5, 8, seed=5), "b3": _weights(5, seed=6),
    }  # fmt: skip
    return _model(nodes, weights, ["batch", 3, 8, 8])


def products() -> ModelProto:
    """Two products of matrices."""
    nodes = [
        helper.make_node("MatMul", ["x", "w1"], ["m1"], "matmul1"),
        helper.make_node("Add", ["m1", "b1"], ["a1"]),
        helper.make_node("Tanh", ["a1"], ["t1"]),
        helper.make_node("MatMul", ["t1", "w2"], ["y"], "matmul2"),
    ]
    weights = {"w1": _weights(64, 96, seed=1), "b1": _weights(96, seed=2), "w2": _weights(96, 5, seed=3)}
    return _model(nodes, weights, ["batch", 64], opset=21)


def recurrent() -> ModelProto:
    """An LSTM and a product, over a batch of sequences."""
    weights = {
        "w": _weights(1, 4 * 12, 8, seed=1), "r": _weights(1, 4 * 12, 12, seed=2), "b": _weights(1, 8 * 12, seed=3),
        "w2": _weights(12, 5, seed=4), "first": np.array([0], np.int64),
    }  # fmt: skip
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], perm=[1, 0, 2]),
        helper.make_node("LSTM", ["t", "w", "r", "b"], ["", "h"], "lstm", hidden_size=12),
        helper.make_node("Squeeze", ["h", "first"], ["s"]),
        helper.make_node("MatMul", ["s", "w2"], ["y"], "matmul"),
    ]
    return _model(nodes, weights, ["batch", 6, 8])


def _static(form: QuantFormat, *, per_channel: bool = True) -> Callable[[Path, Path], None]:
    def make(source: Path, destination: Path) -> None:
        quantize_static(
            source, destination, _Drawn((4, 3, 8, 8)), quant_format=form, per_channel=per_channel,
            activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
        )  # fmt: skip

    return make


def _dynamic(source: Path, destination: Path) -> None:
    quantize_dynamic(source, destination, weight_type=QuantType.QInt8)


def _packed(form: QuantFormat, bits: int = 4, level: int | None = None, *, even: bool = True) -> Callable[..., None]:
    def make(source: Path, destination: Path) -> None:
        quantiser = MatMulNBitsQuantizer(
            str(source), bits=bits, block_size=32, is_symmetric=even, accuracy_level=level, quant_format=form
        )
        quantiser.process()
        onnx.save(quantiser.model.model, destination)

    return make


def _half(source: Path, destination: Path) -> None:
    onnx.save(convert_float_to_float16(onnx.load(source), keep_io_types=True), destination)


def _bfloat16(source: Path, destination: Path) -> None:
    """Compute in bf16 between two casts."""
    model = onnx.load(source)
    graph = model.graph
    for tensor in graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype == np.float32:
            kind = helper.tensor_dtype_to_np_dtype(TensorProto.BFLOAT16)
            tensor.CopyFrom(numpy_helper.from_array(values.astype(kind), tensor.name))
    for node in graph.node:
        node.input[:] = ["x narrow" if name == "x" else name for name in node.input]
        node.output[:] = ["y narrow" if name == "y" else name for name in node.output]
    graph.node.insert(0, helper.make_node("Cast", ["x"], ["x narrow"], to=TensorProto.BFLOAT16))
    graph.node.append(helper.make_node("Cast", ["y narrow"], ["y"], to=TensorProto.FLOAT))
    onnx.save(model, destination)


MAKERS: dict[str, tuple[Callable[[], ModelProto], Callable[[Path, Path], None]]] = {
    "fp16": (products, _half),
    "bf16": (products, _bfloat16),
    "qdq": (convolutions, _static(QuantFormat.QDQ)),
    "qoperator": (convolutions, _static(QuantFormat.QOperator)),
    "dynamic": (products, _dynamic),
    "dynamic-conv": (convolutions, _dynamic),
    "dynamic-lstm": (recurrent, _dynamic),
    "nbits4": (products, _packed(QuantFormat.QOperator)),
    "nbits4-zero-points": (products, _packed(QuantFormat.QOperator, even=False)),
    "nbits4-level4": (products, _packed(QuantFormat.QOperator, level=4)),
    "nbits4-qdq": (products, _packed(QuantFormat.QDQ)),
    "nbits8": (products, _packed(QuantFormat.QOperator, bits=8)),
}


def made(kind: str, folder: Path) -> tuple[Path, Path]:
    """Write a file in fp32, and what is made of it; return both."""
    make, quantise = MAKERS[kind]
    source, destination = folder / "fp32.onnx", folder / f"{kind}.onnx"
    onnx.save(make(), source)
    quantise(source, destination)
    return source, destination
