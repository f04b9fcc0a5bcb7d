"""A user's own model with two inputs, in every framework: compared for real, then deployed and served from any of its
runtimes, with the audited answers over the network.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from assay.bench.brought.compare import compare_model
from assay.bench.brought.work import Wanted
from assay.bench.deployment.checking.verify import check_deployment
from assay.bench.deployment.deploy import write_deployment
from assay.bench.deployment.subject import read_study
from assay.bench.serving.audited import read_audited, target_of
from assay.bench.serving.verify import verify
from assay.bench.words.progress import Narrator
from assay.errors import FailedError
from assay.infer.wire import WAYS
from assay.records.deployment import served_by
from assay.records.results import Cell, read_results
from assay.registry import RUNTIMES
from assay.train.brought.model import read_shapes
from assay.train.brought.sources import locate
from tests.bench.serving.conftest import start, stop

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]  # the first of a framework makes packages and compares
ROWS, LEFT, RIGHT = 256, 48, 24
TORCH = """
import torch
from torch import nn

class Pair(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.left, self.right = nn.Linear(48, 128), nn.Linear(24, 128)
        self.body = nn.Sequential(nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 10))

    def forward(self, left, right):
        return self.body(self.left(left) + self.right(right))
"""
JAX = """
import jax
import numpy as np

def weights(seed, rows, columns):
    return np.random.default_rng(seed).normal(size=(rows, columns)).astype(np.float32) / rows**0.5

LEFT, RIGHT, BODY, LAST = weights(0, 48, 128), weights(1, 24, 128), weights(2, 128, 128), weights(3, 128, 10)

def Pair():
    return lambda left, right: jax.nn.relu(jax.nn.relu(left @ LEFT + right @ RIGHT) @ BODY) @ LAST
"""
TF = """
import keras

def Pair():
    keras.utils.set_random_seed(0)
    left, right = keras.Input((48,), name="left"), keras.Input((24,), name="right")
    both = keras.layers.Add()([keras.layers.Dense(128)(left), keras.layers.Dense(128)(right)])
    hidden = keras.layers.Dense(128, activation="relu")(keras.layers.ReLU()(both))
    return keras.Model([left, right], keras.layers.Dense(10)(hidden))
"""
SOURCES = {"torch": TORCH, "jax": JAX, "tf": TF}
REFUSED = {"jax.jit.bf16": "XLA computes bf16 products in another precision"}
"""Cells that cannot be deployed, with the reason."""
SERVED = [
    (kind, entry.name) for kind in SOURCES for entry in RUNTIMES.values() if entry.served_by and kind in entry.formats
] + [
    (kind, f"{name}@{route}")
    for kind, route in (("torch", "torch-dynamo"), ("jax", "jax2onnx"), ("tf", "tf2onnx"))
    for name in ("ort.cpu", "openvino", "openvino.nncf", "openvino.nncf.accurate", "ort.cpu+int8", "openvino+int8")
]


def label_of(runtime: str) -> str:
    """The label of a cell: the variant follows the export."""
    name, _, route = runtime.partition("@")
    base, _, variant = name.partition("+")
    return f"{base}@{route}+{variant}" if variant else runtime


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a comparison of the model in one framework, in all runtimes with one process each, whose times
    nobody uses.
    """

    @cache
    def of(kind: str) -> Path:
        place = tmp_path_factory.mktemp(kind)
        chance = np.random.default_rng(0)
        rows = {"left": chance.normal(size=(ROWS, LEFT)), "right": chance.normal(size=(ROWS, RIGHT))}
        np.savez(place / "inputs.npz", **{name: some.astype(np.float32) for name, some in rows.items()})
        (place / "pair.py").write_text(SOURCES[kind])
        named = [label.partition("@")[0].partition("+")[0] for one, label in SERVED if one == kind]
        wanted = Wanted(
            location=locate(f"{place}/pair.py:Pair", kind),
            shapes=read_shapes([f"left=batch,{LEFT}", f"right=batch,{RIGHT}"]),
            inputs=place / "inputs.npz",
            runtimes=tuple(dict.fromkeys(named)),
            reduced=("int8",),
            minutes=6,
            processes=1,
            interval_width=0,
        )
        folder = place / "compared"
        compare_model(wanted, folder, Narrator())
        results = read_results(folder / "results.json")
        cells = [one.model_copy(update={"invalid": []}) for one in results.cells]
        (folder / "results.json").write_text(results.model_copy(update={"cells": cells}).model_dump_json())
        return folder

    return of


def cell_of(folder: Path, label: str) -> Cell:
    return next(one for one in read_results(folder / "results.json").cells if one.label == label)


@pytest.mark.parametrize(("kind", "runtime"), SERVED)
def test_what_was_timed_and_audited_is_served(
    platform: None, compared: Callable[[str], Path], kind: str, runtime: str, tmp_path: Path
) -> None:
    study = compared(kind)
    cell = cell_of(study, label_of(runtime))
    if runtime in REFUSED:
        assert REFUSED[runtime] in cell.reason
        with pytest.raises(FailedError, match=r"was not measured.*XLA computes"):
            write_deployment(read_study(study), cell.name, tmp_path / "deployment", Narrator())
        return
    assert cell.status == "ok", cell.reason
    trusted = served_by(cell.runtime).is_code  # for being our own
    folder = tmp_path / "deployment"
    write_deployment(read_study(study), cell.name, folder, Narrator())
    check_deployment(folder, trusted=trusted)
    served = start(folder, tmp_path / "log", *(["--trust"] if trusted else []))
    try:
        audited = read_audited(folder, None, None, tmp_path)
        found = verify(audited, target_of(audited.deployment, served.ready["http"], None), WAYS)
    finally:
        assert stop(served) == 0
    assert found.passed, found
    assert {way.images for way in found.ways} == {len(audited.inputs)}


@pytest.mark.parametrize("kind", SOURCES)
def test_what_was_made_for_a_runtime_has_its_seconds(compared: Callable[[str], Path], kind: str) -> None:
    cells = [one for one in read_results(compared(kind) / "results.json").cells if one.cold]
    made = {one.label for one in cells if one.cold and one.cold.made_seconds}
    assert made == {one.label for one in cells if RUNTIMES[one.runtime].maker}
