"""A small classifier as ONNX files: right, and wrong in known ways."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from tests.onnx_files import onnx_model, save_onnx

WIDTH, CLASSES = 16, 16
Weights = dict[str, NDArray[np.float32]]


def weights() -> Weights:
    random = np.random.default_rng(0)
    return {
        "first": random.normal(0, 0.3, (WIDTH, WIDTH)).astype(np.float32),
        "offset": random.normal(0, 0.3, (WIDTH,)).astype(np.float32),
        "second": random.normal(0, 0.3, (WIDTH, CLASSES)).astype(np.float32),
    }


def save_classifier(path: Path, change: Callable[[Weights], None] | None = None, **names: str) -> Path:
    """MatMul, Add, Relu, MatMul from `image` [batch, 16] to `logits` [batch, 16].

    Args:
        change: a function that changes the weights first.
        names: other names than "image" and "logits".
    """
    made = weights()
    if change:
        change(made)
    image, logits = names.get("image", "image"), names.get("logits", "logits")
    model = onnx_model(
        [
            helper.make_node("MatMul", [image, "first"], ["a"], name="first_matmul"),
            helper.make_node("Add", ["a", "offset"], ["b"], name="add"),
            helper.make_node("Relu", ["b"], ["c"], name="relu"),
            helper.make_node("MatMul", ["c", "second"], [logits], name="second_matmul"),
        ],
        {image: ["batch", WIDTH]},
        {logits: ["batch", CLASSES]},
        made,
    )
    onnx.save(model, path)
    return path


def one_ulp(made: Weights) -> None:
    made["first"][0, 0] = np.nextafter(made["first"][0, 0], np.float32(9))


def to_bf16(made: Weights) -> None:
    for name, array in made.items():
        significand, exponent = np.frexp(array)
        made[name] = np.ldexp(np.round(significand * 256) / 256, exponent).astype(np.float32)


def transposed(made: Weights) -> None:
    made["second"] = np.ascontiguousarray(made["second"].T)


def wrong_sign(made: Weights) -> None:
    made["offset"] *= -1


def swapped_class(made: Weights) -> None:
    made["second"] = made["second"][:, [1, 0, *range(2, CLASSES)]]


def nan_weight(made: Weights) -> None:
    made["second"][3, 3] = np.nan


def save_with_map(path: Path) -> Path:
    """A classifier as scikit-learn's converter writes it: `label`, and `probabilities` as a sequence of maps."""
    maps = helper.make_map_type_proto(TensorProto.INT64, helper.make_tensor_type_proto(TensorProto.FLOAT, []))
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["image", "first"], ["scores"], name="matmul"),
            helper.make_node("ArgMax", ["scores"], ["label"], name="argmax", axis=1, keepdims=0),
            helper.make_node(
                "ZipMap", ["scores"], ["probabilities"], domain="ai.onnx.ml", classlabels_int64s=range(WIDTH)
            ),
        ],
        "with_map",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", WIDTH])],
        [
            helper.make_tensor_value_info("label", TensorProto.INT64, ["batch"]),
            helper.make_value_info("probabilities", helper.make_sequence_type_proto(maps)),
        ],
        [numpy_helper.from_array(weights()["first"], "first")],
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), path)
    return path


def save_with_state(path: Path) -> Path:
    """A model as for recordings: `input` of any size, a `state` whose second dimension is open, and a scalar."""
    return save_onnx(
        path,
        [
            helper.make_node("ReduceMean", ["state"], ["mean"], name="mean", keepdims=0),
            helper.make_node("Cast", ["rate"], ["wide"], name="cast", to=TensorProto.FLOAT),
            helper.make_node("Mul", ["mean", "wide"], ["factor"], name="factor"),
            helper.make_node("Mul", ["input", "factor"], ["output"], name="scaled"),
            helper.make_node("Tanh", ["state"], ["next"], name="tanh"),
        ],
        {"input": [-1, "?"], "state": [2, None, 4], "rate": (TensorProto.INT64, [])},
        {"output": [None, None], "next": [2, None, 4]},
    )
