"""Quantised and fused operators written out in float64 are what ONNX Runtime computes, to its own rounding."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from assay.export.graph.on_onnx_integers import arithmetic_of
from assay.export.reference.on_onnx_double import run_double
from assay.export.reference.on_onnx_written_out import unpacked, written_out

Array = NDArray[Any]
RANDOM = np.random.default_rng(3)
X = RANDOM.standard_normal((4, 64)).astype(np.float32)
STEPS = RANDOM.integers(0, 256, (4, 8), np.uint8)
SCALE, ZERO = np.array(0.05, np.float32), np.array(120, np.uint8)
WEIGHTS = RANDOM.integers(-127, 128, (8, 5), np.int8)
SCALES, NO_ZERO = RANDOM.uniform(0.01, 0.02, 5).astype(np.float32), np.zeros(5, np.int8)
COARSE, MIDDLE = np.array(0.1, np.float32), np.array(128, np.uint8)


def model_of(node: NodeProto, x: Array, fixed: dict[str, Array], kind: int = TensorProto.FLOAT) -> ModelProto:
    graph = helper.make_graph(
        [node],
        "one",
        [helper.make_tensor_value_info("x", helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)],
        [helper.make_tensor_value_info("y", kind, None)],
        [numpy_helper.from_array(array, name) for name, array in fixed.items()],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9)


def node(operator: str, *inputs: str, domain: str = "com.microsoft", **attributes: object) -> NodeProto:
    return helper.make_node(operator, ["x", *inputs], ["y"], "it", domain=domain, **attributes)


def packed(bits: int, rows: int = 64, columns: int = 6, block: int = 32) -> dict[str, Array]:
    blocks = -(-rows // block)
    return {
        "b": RANDOM.integers(0, 256, (columns, blocks, block * bits // 8), np.uint8),
        "s": RANDOM.uniform(0.01, 0.02, columns * blocks).astype(np.float32),
        "z": RANDOM.integers(0, 256, columns * (-(-blocks * bits // 8)), np.uint8),
    }


INTEGERS = TensorProto.UINT8
CASES: dict[str, tuple[NodeProto, Array, dict[str, Array], int]] = {
    "MatMulNBits": (
        node("MatMulNBits", "b", "s", K=64, N=6, bits=4, block_size=32), X, packed(4), TensorProto.FLOAT,
    ),
    "MatMulNBits with zero points": (
        node("MatMulNBits", "b", "s", "z", K=64, N=6, bits=4, block_size=32), X, packed(4), TensorProto.FLOAT,
    ),
    "MatMulNBits in 8 bits": (
        node("MatMulNBits", "b", "s", "z", K=64, N=6, bits=8, block_size=32), X, packed(8), TensorProto.FLOAT,
    ),
    "QGemm": (
        node("QGemm", "xs", "xz", "w", "ws", "wz", "", "ys", "yz"), STEPS,
        {"xs": SCALE, "xz": ZERO, "w": WEIGHTS, "ws": SCALES, "wz": NO_ZERO, "ys": COARSE, "yz": MIDDLE}, INTEGERS,
    ),
    "MatMulIntegerToFloat": (
        node("MatMulIntegerToFloat", "w", "xs", "ws", "xz", "wz"), STEPS,
        {"w": WEIGHTS, "xs": SCALE, "ws": SCALES, "xz": ZERO, "wz": NO_ZERO}, TensorProto.FLOAT,
    ),
    "DynamicQuantizeMatMul": (
        node("DynamicQuantizeMatMul", "w", "ws", "wz"), X[:, :8],
        {"w": WEIGHTS, "ws": SCALES, "wz": NO_ZERO}, TensorProto.FLOAT,
    ),
    "MatMulInteger": (
        node("MatMulInteger", "w", "xz", domain=""), STEPS, {"w": WEIGHTS, "xz": ZERO}, TensorProto.INT32,
    ),
    "QLinearAdd": (
        node("QLinearAdd", "xs", "xz", "w", "ws", "wz", "ys", "yz"), STEPS,
        {"xs": SCALE, "xz": ZERO, "w": STEPS[:1], "ws": COARSE, "wz": ZERO, "ys": COARSE, "yz": MIDDLE}, INTEGERS,
    ),
    "QLinearSigmoid": (
        node("QLinearSigmoid", "xs", "xz", "ys", "yz"), STEPS,
        {"xs": SCALE, "xz": ZERO, "ys": np.array(1 / 256, np.float32), "yz": np.array(0, np.uint8)}, INTEGERS,
    ),
    "QLinearConcat": (
        helper.make_node("QLinearConcat", ["ys", "yz", "x", "xs", "xz", "w", "ws", "wz"], ["y"], "it",
                         domain="com.microsoft", axis=1), STEPS,
        {"ys": COARSE, "yz": MIDDLE, "xs": SCALE, "xz": ZERO, "w": STEPS, "ws": COARSE, "wz": ZERO}, INTEGERS,
    ),
    "Gelu": (node("Gelu"), X, {}, TensorProto.FLOAT),
    "BiasGelu": (node("BiasGelu", "b"), X, {"b": X[0]}, TensorProto.FLOAT),
    "FastGelu": (node("FastGelu", "b"), X, {"b": X[0]}, TensorProto.FLOAT),
    "QuickGelu": (node("QuickGelu", alpha=1.5), X, {}, TensorProto.FLOAT),
    "FusedMatMul": (node("FusedMatMul", "w", transB=1, alpha=0.5), X, {"w": X[:3]}, TensorProto.FLOAT),
    "SkipLayerNormalization": (
        node("SkipLayerNormalization", "s", "g", "b", epsilon=1e-4), X[None], {"s": X[None, ::-1].copy(), "g": X[0],
        "b": X[1]}, TensorProto.FLOAT,
    ),
    "SkipSimplifiedLayerNormalization": (
        node("SkipSimplifiedLayerNormalization", "s", "g"), X[None], {"s": X[None, ::-1].copy(), "g": X[0]},
        TensorProto.FLOAT,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_what_is_written_out_is_what_onnxruntime_computes(name: str, tmp_path: Path) -> None:
    it, x, fixed, kind = CASES[name]
    model = model_of(it, x, {key: array for key, array in fixed.items() if key in it.input}, kind)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    found = session.run(None, {"x": x})[0]
    exact = run_double(model, {"x": x}, name)["y"]
    assert exact.shape == found.shape
    if kind == TensorProto.FLOAT:
        assert exact.dtype == np.float64
        assert np.abs(exact - found).max() <= 2e-6 * np.abs(exact).max()
    elif kind == TensorProto.INT32:
        assert (exact == found).all()
    else:  # a step more or less where a value nearly ties
        assert exact.dtype == np.uint8
        assert np.abs(exact.astype(int) - found.astype(int)).max() <= 1
        assert (exact == found).mean() > 0.9
        assert len(np.unique(exact)) > 3


def test_a_file_of_other_operators_is_taken_as_it_is() -> None:
    model = model_of(node("Gelu", domain=""), X, {})
    assert written_out(model) is model


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_bits_are_unpacked_lowest_first(bits: int) -> None:
    values = RANDOM.integers(0, 2**bits, (3, 16), np.uint8)
    places = (values[..., None] >> np.arange(bits)) & 1
    packed_bytes = np.packbits(places.reshape(3, -1), axis=-1, bitorder="little")
    assert (unpacked(packed_bytes, bits) == values).all()


@pytest.mark.parametrize(
    ("name", "arithmetic"),
    [("MatMulNBits", "int4"), ("MatMulNBits in 8 bits", "int8"), ("QLinearAdd", "int8"), ("Gelu", "")],
)
def test_a_file_is_seen_to_be_quantised(name: str, arithmetic: str) -> None:
    it, x, fixed, kind = CASES[name]
    assert arithmetic_of(model_of(it, x, fixed, kind)) == arithmetic
