"""A PyTorch and a Keras model of a user's with a layer that may not be int8: it is found, within the minutes that the
user gives.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from assay.bench.brought.exports import bring, exported
from assay.bench.brought.work import Wanted, Work
from assay.bench.words.progress import Narrator
from assay.bench.words.terminal import Terminal
from assay.records.results import Export
from assay.train.brought.model import read_shapes
from assay.train.brought.sources import locate

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
    """What is made of the model in int8, by exporter."""
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
