"""Matrix products in ONNX Runtime, for `assay.infer.ceilings.job`: fp32, and int8 as quantised models compute it."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray

from assay.infer.ceilings.rates import Kernel, Kernels
from assay.infer.runtimes.same_for_all import onnxruntime_options
from assay.spec import Settings


def products(left: NDArray[np.float32], right: NDArray[np.float32], threads: int) -> dict[str, Kernel]:
    """Return products in fp32, and of unsigned by signed bytes; the right matrix is a constant, as weights are."""
    bytes_left, bytes_right = (left * 255).astype(np.uint8), (right * 255 - 128).astype(np.int8)
    return {
        "fp32": _product("MatMul", left, right, onnx.TensorProto.FLOAT, threads),
        "int8": _product("MatMulInteger", bytes_left, bytes_right, onnx.TensorProto.INT32, threads),
    }


def stream_kernels(one: NDArray[np.float32], two: NDArray[np.float32], three: NDArray[np.float32]) -> Kernels:
    """Return no kernels: in a graph of one operator, the start of the call would outweigh the memory traffic."""
    return {}


def _product(
    operator: str, left: NDArray[np.generic], right: NDArray[np.generic], out_type: int, threads: int
) -> Kernel:
    in_type = onnx.helper.np_dtype_to_tensor_dtype(left.dtype)
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node(operator, ["a", "b"], ["c"])],
        "product",
        [onnx.helper.make_tensor_value_info("a", in_type, left.shape)],
        [onnx.helper.make_tensor_value_info("c", out_type, (left.shape[0], right.shape[1]))],
        [onnx.numpy_helper.from_array(right, "b")],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9)
    options = onnxruntime_options(Settings(threads))
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    feed = {"a": left}
    return lambda: session.run(None, feed)
