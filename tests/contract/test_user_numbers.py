"""The rules for numbers hold in every framework: whole numbers, infinities, scales, and the source of float64."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from assay.errors import AssayError
from assay.export.probing.probe import PROBE, Probed
from assay.export.reference.double_job import DOUBLE, DoubleRequest
from assay.jobs.running import run_job
from assay.train.brought.model import read_shapes
from tests.contract.test_user_models import LIMIT_SECONDS, checked, exported
from tests.user_models import to_probe

TORCH = """
import torch
from torch import nn

class Shift(nn.Module):
    def forward(self, codes):
        return (codes * 3) >> 2

class Masked(nn.Module):
    def __init__(self):
        super().__init__()
        self.score = nn.Linear(5, 6)

    def forward(self, x):
        scores = self.score(x)
        return {"scores": scores.masked_fill(scores < 0, float("-inf")), "best": scores.argmax(-1)}

class FloatInside(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(5, 16), nn.Linear(16, 3)

    def forward(self, x):
        return self.last(self.first(x).float().to(self.last.weight.dtype)).float()
"""
TF = """
import tensorflow as tf

@tf.function(input_signature=[tf.TensorSpec([None, 4], tf.int32, name="ticks")])
def count(ticks):
    return -tf.math.floordiv(-ticks, 3)

@tf.function(input_signature=[tf.TensorSpec([None, 4], tf.int32, name="ticks")])
def scales(ticks):
    phase = tf.cast(tf.math.floordiv(-ticks, 3), tf.float32) * 0.1
    return {"distance": tf.cast(ticks, tf.float32) * 31_234.5, "phase": phase}

@tf.function(input_signature=[tf.TensorSpec([None, 5], tf.float32, name="x")])
def masked(x):
    scores = x * tf.constant([1.0, 2.0, 3.0, 4.0, 5.0])
    return {"best": tf.argmax(scores, -1), "scores": tf.where(scores < 0, float("-inf"), scores)}
"""
JAX = """
import jax.numpy as jnp

words = jnp.arange(300.0).reshape(100, 3)

def wide_ids(ids):
    return words[ids].mean(1)

def masked(x):
    scores = x * jnp.arange(1.0, 6.0)
    return {"best": jnp.argmax(scores, -1), "scores": jnp.where(scores < 0, -jnp.inf, scores)}
"""
SOURCES = {"torch": TORCH, "tf": TF, "jax": JAX}


@dataclass(frozen=True)
class Case:
    """A case.

    Attributes:
        refused: words of the reason for which a route's file is refused, by route; "" where it is right.
        whole: inputs are whole numbers from here, which is where the file is wrong.
    """

    framework: str
    function: str
    shape: str
    refused: dict[str, str]
    reference: str
    whole: int = 0


GRAPH = "TensorFlow's graph of the model in float64"
CASES = [
    Case(
        "torch",
        "Shift",
        "codes=int64:batch,4",
        {"torch-script": "numbers differ (largest by 1)", "torch-dynamo": ""},
        "the model's own outputs, which are integers without rounding error",
        whole=-900_000,
    ),
    Case("torch", "Masked", "x=batch,5", {"torch-script": "", "torch-dynamo": ""}, "the PyTorch model in float64"),
    Case("torch", "FloatInside", "x=batch,5", {"torch-script": ""}, "the PyTorch model in float64"),
    Case(
        "tf",
        "count",
        "ticks=int32:batch,4",
        {"tf2onnx": "numbers differ (largest by 1)"},
        "the model's own outputs, which are integers without rounding error",
        whole=100_000,
    ),
    Case("tf", "scales", "ticks=int32:batch,4", {"tf2onnx": "output 'phase': differs by 0.1"}, GRAPH, whole=1),
    Case("tf", "masked", "x=batch,5", {"tf2onnx": ""}, GRAPH),
    Case("jax", "masked", "x=batch,5", {"jax2onnx": ""}, "the JAX function in float64"),
    Case("jax", "wide_ids", "ids=int64:batch,5", {"jax2onnx": ""}, "the JAX function in float64"),
]


def probed(folder: Path, case: Case) -> Probed:
    file = folder / f"{case.framework}_models.py"
    file.write_text(SOURCES[case.framework])
    shapes = read_shapes([case.shape])
    told = (case.shape,) if case.framework != "tf" else ()
    request = to_probe(folder, f"{file}:{case.function}", *told, framework=case.framework, batches=(1, 8))
    if case.whole:
        drawn = np.random.default_rng(0).integers(case.whole, case.whole + 60, (16, 4)).astype(shapes[0].dtype)
        np.savez(folder / "given.npz", **{shapes[0].name: drawn})
        request = request.model_copy(update={"inputs": folder / "given.npz"})
    return run_job(PROBE, request, folder / "log", limit_seconds=LIMIT_SECONDS)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.framework}-{case.function}")
def test_a_right_export_passes_and_a_wrong_one_is_refused_for_its_own_numbers(case: Case, tmp_path: Path) -> None:
    found = probed(tmp_path, case)
    assert found.reference == case.reference, found.reason
    for route, words in case.refused.items():
        reason = checked(tmp_path, found.model, exported(tmp_path, found.model, route))
        assert words in reason
        assert bool(reason) == bool(words), reason
        assert "TF32" not in reason


@pytest.mark.slow
def test_a_wrong_export_is_never_taken_as_the_reference(tmp_path: Path) -> None:
    """Its large output is right, its small one is off by less than the rounding of the large one."""
    case = next(one for one in CASES if one.function == "scales")
    model = probed(tmp_path, case).model
    request = DoubleRequest(
        model=model,
        file=exported(tmp_path, model, "tf2onnx"),
        out=tmp_path / "taken.npy",
        records=tmp_path / "records.npy",
        native=tmp_path / "native.npy",
    )
    with pytest.raises(AssayError, match="output 'phase' in float64 differs from the model's by more"):
        run_job(DOUBLE, request, tmp_path / "log", limit_seconds=LIMIT_SECONDS)
    assert not (tmp_path / "taken.npy").exists()
