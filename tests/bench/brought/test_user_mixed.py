"""A PyTorch and a Keras model of a user with a layer that must not be int8: it is found within the user's minutes,
whether the model's numbers or only its decisions go wrong.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from assay.bench.brought.decided import decided
from assay.bench.brought.exports import bring, exported
from assay.bench.brought.mixed_job import tried_by
from assay.bench.brought.work import Wanted, Work
from assay.bench.words.progress import Narrator
from assay.bench.words.terminal import Terminal
from assay.records.results import Export
from assay.train.brought.model import read_shapes
from assay.train.brought.sources import locate
from tests.onnx_files import onnx_model

pytestmark = pytest.mark.slow
WEIGHTS = """
import numpy as np

WIDTH, DEPTH, BAD = 16, 4, 2

def layers():
    chance = np.random.default_rng(0)
    for place in range(DEPTH):
        weights = chance.normal(size=(WIDTH, WIDTH)).astype(np.float32) / WIDTH**0.5
        bias = chance.normal(size=WIDTH).astype(np.float32) / 4
        if place < DEPTH - 1:
            weights[:, 0] = bias[0] = 0  # number 0 of what goes into each layer is zero
        weights[0] = 300.0 if place == BAD else 0  # and meets a weight beside which integers lose all others
        yield weights, bias
"""
TORCH = """
import torch
from torch import nn

def build():
    found = []
    for weights, bias in layers():
        layer = nn.Linear(WIDTH, WIDTH)
        layer.weight.data, layer.bias.data = torch.tensor(weights.T.copy()), torch.tensor(bias)
        found += [layer, nn.ReLU()]
    return nn.Sequential(*found[:-1]).eval()
"""
KERAS = """
import keras

def build():
    rows = found = keras.Input((WIDTH,), name="rows")
    made = list(layers())
    dense = [keras.layers.Dense(WIDTH, activation=None if place == DEPTH - 1 else "relu") for place in range(DEPTH)]
    for one in dense:
        found = one(found)
    for one, (weights, bias) in zip(dense, made):
        one.set_weights([weights, bias])
    return keras.Model(rows, found)
"""
MODELS = {"torch": TORCH, "tf": KERAS}


def exports_of(folder: Path, kind: str, minutes: float) -> Mapping[str, Export]:
    """The int8 files of the model, by exporter."""
    folder.mkdir(exist_ok=True)
    (folder / "layers.py").write_text(WEIGHTS + MODELS[kind])
    rows = np.random.default_rng(1).normal(size=(256, 16)).astype(np.float32)
    rows[:, 0] = 0
    np.savez(folder / "inputs.npz", rows=rows)
    shape = "input=batch,16" if kind == "torch" else "rows=batch,16"
    if kind == "torch":
        np.savez(folder / "inputs.npz", input=rows)
    wanted = Wanted(
        location=locate(f"{folder}/layers.py:build", kind),
        shapes=read_shapes([shape]),
        inputs=folder / "inputs.npz",
        reduced=("int8",),
        mixed_minutes=minutes,
    )
    work = Work(wanted, folder / "compared", Narrator(Terminal(file=io.StringIO())))
    _, found = exported(work, bring(work))
    return {one.exporter: one for one in found}


@pytest.mark.parametrize(("kind", "route"), [("torch", "torch-dynamo"), ("torch", "torch-script"), ("tf", "tf2onnx")])
def test_the_layer_that_may_not_be_int8_is_found(
    kind: str, route: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp() / kind
    without = exports_of(folder, kind, 0)
    assert without[route].status == "ok", without[route].reason
    assert without[f"{route}+int8"].status == "failed"
    assert not [one for one in without if one.endswith("-mixed")], "nobody wanted it"
    mixed = exports_of(folder, kind, 1.0)[f"{route}+int8-mixed"]
    assert mixed.status == "ok", mixed.reason
    assert mixed.search is not None
    assert mixed.search.allowed_seconds == 60
    assert mixed.search.ended == "minimal"
    assert len(mixed.search.found.left) == 1, mixed.search.found


DECIDING = """
import numpy as np

FIRST = np.array([[1, -1, 0, 0], [0, 0, 1, -1]], np.float32)
LAST = np.array([[3, -3, 0, 0], [-3, 3, 0, 0], [0, 0, 150, -150]], np.float32).T
BIAS = np.array([0, 0, -1000], np.float32)  # a class that no row has, and most of what varies
"""
DECIDING_TORCH = """
import torch
from torch import nn

def build():
    first, last = nn.Linear(2, 4, bias=False), nn.Linear(4, 3)
    first.weight.data, last.weight.data, last.bias.data = map(torch.tensor, (FIRST.T.copy(), LAST.T.copy(), BIAS))
    return nn.Sequential(first, nn.ReLU(), last).eval()
"""
DECIDING_KERAS = """
import keras

def build():
    rows = keras.Input((2,), name="input")
    first, last = keras.layers.Dense(4, activation="relu", use_bias=False), keras.layers.Dense(3)
    model = keras.Model(rows, last(first(rows)))
    first.set_weights([FIRST])
    last.set_weights([LAST, BIAS])
    return model
"""
DECIDING_JAX = """
import jax

def build():
    return lambda input: jax.nn.relu(input @ FIRST) @ LAST + BIAS
"""
DECIDERS = {"torch": DECIDING_TORCH, "tf": DECIDING_KERAS, "jax": DECIDING_JAX}


def decided_files(folder: Path, kind: str, labels: Path | None) -> Mapping[str, Export]:
    """The int8 files of the model that makes decisions, by exporter."""
    rows = np.random.default_rng(1).normal(size=(256, 2)).astype(np.float32)
    np.savez(folder / "inputs.npz", input=rows)
    if labels:
        np.save(labels, (rows[:, 0] < 0).astype(np.int64))
    wanted = Wanted(
        location=locate(str(written(folder, kind)), kind if kind != "onnx" else ""),
        shapes=read_shapes([] if kind == "onnx" else ["input=batch,2"]),
        inputs=folder / "inputs.npz",
        reduced=("int8",),
        mixed_minutes=1.0,
        task="classification",
        labels=labels,
    )
    work = Work(wanted, folder / "compared", Narrator(Terminal(file=io.StringIO())))
    brought = bring(work)
    _, found = exported(work, brought, partial(tried_by, wanted, decided(wanted, brought)))
    return {one.exporter: one for one in found}


def written(folder: Path, kind: str) -> str:
    """The folder of the model that makes decisions."""
    if kind != "onnx":
        (folder / "classes.py").write_text(DECIDING + DECIDERS[kind])
        return f"{folder}/classes.py:build"
    scope: dict[str, np.ndarray] = {}
    exec(DECIDING, scope)
    nodes = [
        helper.make_node("Gemm", ["input", "first"], ["hidden"], "/first"),
        helper.make_node("Relu", ["hidden"], ["positive"], "/relu"),
        helper.make_node("Gemm", ["positive", "last", "bias"], ["output"], "/last"),
    ]
    constants = [numpy_helper.from_array(scope[name.upper()], name) for name in ("first", "last", "bias")]
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["batch", w]) for n, w in (("input", 2), ("output", 3))]
    model = onnx_model(nodes, ends[:1], ends[1:], constants)
    onnx.save(model, folder / "classes.onnx")
    return f"{folder}/classes.onnx"


@pytest.mark.parametrize("labelled", [True, False])
@pytest.mark.parametrize("kind", ["onnx", *DECIDERS])
def test_a_layer_that_changes_decisions_alone_is_found(kind: str, labelled: bool, tmp_path: Path) -> None:
    found = decided_files(tmp_path, kind, tmp_path / "labels.npy" if labelled else None)
    plain = next(one for name, one in found.items() if name.endswith("+int8"))
    assert plain.status == "ok", "its numbers are right"
    mixed = found[f"{plain.exporter}-mixed"]
    assert mixed.status == "ok", mixed.reason
    assert mixed.search is not None
    assert "decisions change" in mixed.search.why
    assert mixed.search.ended == "minimal"
    nodes_of_the_last = 2 if kind == "jax" else 1  # jax2onnx adds the bias in a node of its own
    assert len(mixed.search.found.left) == nodes_of_the_last, mixed.search.found
    right = [one.quality for one in (*mixed.search.steps[:1], mixed.search.found)]
    assert (right[0] < 0.8 and right[1] > 0.95) if labelled else right == [None, None]
