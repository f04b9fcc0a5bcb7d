"""Every command that reads an ONNX file says whether it draws random numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from assay.bench.auditing.pairs.pair import PairRequest, audit_pair
from assay.errors import InputError
from assay.export.graph.on_onnx_random import (
    check_repeats,
    per_call_operators,
    random_operators,
    training_operators,
)
from assay.export.probing.probe import probe
from tests.onnx_files import save_onnx
from tests.user_models import to_probe

WIDTH = 10
NODES = {
    "RandomNormalLike": [helper.make_node("RandomNormalLike", ["a"], ["r"], name="noise")],
    "RandomUniformLike": [helper.make_node("RandomUniformLike", ["a"], ["r"], name="noise", seed=1.0)],
    "Bernoulli": [helper.make_node("Sigmoid", ["a"], ["p"]), helper.make_node("Bernoulli", ["p"], ["r"], name="noise")],
    "Dropout": [helper.make_node("Dropout", ["a", "ratio", "train"], ["r"], name="noise")],
    "Multinomial": [
        helper.make_node("Multinomial", ["a"], ["drawn"], name="noise", sample_size=WIDTH),
        helper.make_node("Cast", ["drawn"], ["r"], to=TensorProto.FLOAT),
    ],
}


def saved(path: Path, middle: list[onnx.NodeProto]) -> Path:
    """x @ w, then these nodes from "a" to "r"."""
    rng = np.random.default_rng(0)
    shape = ["n", WIDTH]
    return save_onnx(
        path,
        [helper.make_node("MatMul", ["x", "w"], ["a"]), *middle, helper.make_node("Add", ["a", "r"], ["y"])],
        {"x": shape},
        {"y": shape},
        {"w": rng.normal(size=(WIDTH, WIDTH)).astype(np.float32), "ratio": np.float32(0.3), "train": np.array(True)},
    )


@pytest.mark.parametrize("operator", NODES)
def test_a_file_that_draws_random_numbers_is_reported_with_its_node(operator: str, tmp_path: Path) -> None:
    path = saved(tmp_path / "random.onnx", NODES[operator])
    named = f"{operator} 'noise'" + (" in training mode" if operator == "Dropout" else "")
    assert random_operators(onnx.load(path)) == named
    with pytest.raises(InputError) as caught:
        probe(to_probe(tmp_path / "probed", path))
    assert (
        f"random.onnx answers the same input differently from call to call: it draws random numbers ({named})"
        in str(caught.value)
    )
    with pytest.raises(InputError, match=r"the candidate answers the same input differently"):
        check_repeats(path, {"x": np.ones((4, WIDTH), np.float32)}, "the candidate")


def test_dropout_in_evaluation_mode_is_not_random(tmp_path: Path) -> None:
    path = saved(tmp_path / "fine.onnx", [helper.make_node("Dropout", ["a", "ratio"], ["r"])])
    assert not random_operators(onnx.load(path))
    assert probe(to_probe(tmp_path / "probed", path)).reference


@pytest.mark.parametrize("opset", [9, 18])
@pytest.mark.parametrize("training", [False, True])
def test_a_batch_normalisation_in_training_mode_is_named(opset: int, training: bool, tmp_path: Path) -> None:
    outputs = ["r", "mean_now", "var_now"] if training else ["r"]
    options = {"training_mode": 1} if training and opset > 9 else {}
    path = save_onnx(
        tmp_path / "norm.onnx",
        [helper.make_node("BatchNormalization", ["x", "s", "b", "m", "v"], outputs, name="norm", **options)],
        {"x": ["n", WIDTH]},
        {"r": ["n", WIDTH]},
        {name: np.linspace(0.5, 1, WIDTH, dtype=np.float32) for name in "sbmv"},
        opset=opset,
        ir_version=8,
    )
    assert training_operators(onnx.load(path)) == (("BatchNormalization 'norm'",) if training else ())
    if not training:
        assert probe(to_probe(tmp_path / "probed", path)).reference
    elif opset > 9:
        with pytest.raises(InputError, match="because BatchNormalization 'norm' computes as in training") as it:
            probe(to_probe(tmp_path / "probed", path))
        assert "Export it again in evaluation mode" in str(it.value)


def test_a_pair_with_a_random_file_is_refused_for_that(tmp_path: Path) -> None:
    right = saved(tmp_path / "right.onnx", [helper.make_node("Identity", ["a"], ["r"])])
    wrong = saved(tmp_path / "random.onnx", NODES["Dropout"])
    for reference, candidate in ((right, wrong), (wrong, right)):
        with pytest.raises(InputError, match=r"random.onnx answers the same input differently.*Dropout 'noise'"):
            audit_pair(PairRequest(reference, candidate, None, {}))


def test_dynamic_quantisation_is_named() -> None:
    nodes = [helper.make_node("DynamicQuantizeLinear", ["a"], ["q", "s", "z"])]
    nodes += [helper.make_node("DequantizeLinear", ["q", "s", "z"], ["r"])]
    graph = helper.make_graph(nodes, "g", [], [])
    assert per_call_operators(helper.make_model(graph)) == "DynamicQuantizeLinear"
