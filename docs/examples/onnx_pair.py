"""Writes an ONNX file with two inputs and two outputs: how alike two lists of numbers are, and their sum."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

WIDTH = 1024
matrix = np.random.default_rng(0).normal(0, WIDTH**-0.5, (WIDTH, WIDTH)).astype(np.float32)
pair = ["left", "right"]
graph = helper.make_graph(
    [
        helper.make_node("MatMul", ["left", "matrix"], ["turned"]),
        helper.make_node("Mul", ["turned", "right"], ["products"]),
        helper.make_node("ReduceSum", ["products", "last"], ["likeness"], keepdims=1),
        helper.make_node("Add", pair, ["sum"]),
    ],
    "pair",
    [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", WIDTH]) for name in pair],
    [
        helper.make_tensor_value_info("likeness", TensorProto.FLOAT, ["batch", 1]),
        helper.make_tensor_value_info("sum", TensorProto.FLOAT, ["batch", WIDTH]),
    ],
    [numpy_helper.from_array(matrix, "matrix"), numpy_helper.from_array(np.array([-1]), "last")],
)
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), "pair.onnx")
