"""A small detector as an ONNX file, whose non-maximum suppression has a limit that rounding in fp32 decides."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import ModelProto, TensorProto, helper, numpy_helper

from tests.onnx_files import onnx_model

BOXES, WIDTH, RECORDS, AT_THE_LIMIT = 40, 256, 8, 3
node = helper.make_node


def detector(least: float) -> ModelProto:
    """Forty boxes, of which every second one lies on the one before it, with scores of x, (1, `WIDTH`).

    Args:
        least: the score that a box must exceed.
    """
    chance = np.random.default_rng(0)
    corners = np.repeat(np.arange(BOXES // 2, dtype=np.float32), 2)[:, None] * 3 + np.array([0, 0, 2, 2], np.float32)
    corners[1::2] += np.array([0.1, 0, 0.1, 0], np.float32)
    nodes = [
        node("MatMul", ["x", "to_scores"], ["logits"]),
        node("Sigmoid", ["logits"], ["scored"]),
        node("Reshape", ["scored", "of_scores"], ["all_scores"]),
        node("MatMul", ["x", "to_boxes"], ["moves"]),
        node("Reshape", ["moves", "of_boxes"], ["moved"]),
        node("Add", ["corners", "moved"], ["all_boxes"]),
        node("NonMaxSuppression", ["all_boxes", "all_scores", "most", "overlap", "least"], ["chosen"]),
        node("Gather", ["chosen", "two"], ["places"], axis=1),
        node("Reshape", ["all_boxes", "flat_boxes"], ["flat"]),
        node("Gather", ["flat", "places"], ["boxes"]),
        node("Reshape", ["all_scores", "flat_scores"], ["line"]),
        node("Gather", ["line", "places"], ["scores"]),
    ]
    constants = {
        "to_scores": chance.normal(0, 0.1, (WIDTH, BOXES)).astype(np.float32),
        "to_boxes": chance.normal(0, 1e-3, (WIDTH, 4 * BOXES)).astype(np.float32),
        "corners": corners[None],
        "of_scores": np.array([1, 1, BOXES]),
        "of_boxes": np.array([1, BOXES, 4]),
        "flat_boxes": np.array([BOXES, 4]),
        "flat_scores": np.array([BOXES]),
        "most": np.array([BOXES]),
        "overlap": np.array([0.5], np.float32),
        "least": np.array([least], np.float32),
        "two": np.array(2),
    }
    outputs = {"boxes": ["n", 4], "scores": ["n"], "chosen": (TensorProto.INT64, ["n", 3])}
    return onnx_model(nodes, {"x": [1, WIDTH]}, outputs, constants)


def records() -> np.ndarray:
    """The inputs, (`RECORDS`, `WIDTH`), of which the first `AT_THE_LIMIT` are one and the same."""
    found = np.random.default_rng(1).normal(size=(RECORDS, WIDTH)).astype(np.float32)
    found[1:AT_THE_LIMIT] = found[0]
    return found


def weights() -> np.ndarray:
    """The weights of the scores, (`WIDTH`, `BOXES`)."""
    return next(numpy_helper.to_array(one) for one in detector(0.5).graph.initializer if one.name == "to_scores")


def scores_of(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The scores of one record in float64 and in ONNX Runtime, (`BOXES`,) each."""
    model = detector(0.5)
    exact = 1 / (1 + np.exp(-(x.astype(np.float64) @ weights().astype(np.float64))))
    model.graph.output.append(helper.make_tensor_value_info("all_scores", TensorProto.FLOAT, [1, 1, BOXES]))
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return exact, session.run(["all_scores"], {"x": x[None]})[0].reshape(-1)


def limit_between(x: np.ndarray) -> float:
    """Return a number of fp32 which the score of one box exceeds in ONNX Runtime and not in float64, or the reverse; no
    box on it has a higher score.
    """
    exact, single = scores_of(x)
    for place in range(BOXES):
        partner = place ^ 1
        limit = np.float32(min(exact[place], single[place]))
        limit = limit if limit >= min(exact[place], single[place]) else np.nextafter(limit, np.float32(1))
        if limit < max(exact[place], single[place]) and exact[partner] < exact[place]:
            return float(limit)
    raise AssertionError("no score is rounded past a number of fp32")


def save_detector(folder: Path) -> Path:
    """Write the file and `inputs.npz`, and return the file's path."""
    x = records()
    np.savez(folder / "inputs.npz", x=x)
    path = folder / "detector.onnx"
    onnx.save(detector(limit_between(x[0])), path)
    return path
