"""A model in fp16 or bf16 is judged by its own rounding, compared with the same float64, in every framework."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from assay.errors import FailedError
from assay.export.job import CHECK
from assay.export.probing.probe import Probed, probe
from assay.jobs.running import run_job
from assay.train.brought.model import UserModel
from tests.contract.test_user_models import LIMIT_SECONDS, exported
from tests.user_models import to_check, to_probe

TORCH = """
import torch
from torch import nn

class Perceptron(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(
            nn.Linear(12, 64), nn.LayerNorm(64), nn.GELU(), nn.Linear(64, 64), nn.GELU(), nn.Linear(64, 5))

    def forward(self, x):
        return self.layers(x.to(self.layers[0].weight.dtype)).float()

def fp16():
    return Perceptron().half()

def bf16():
    return Perceptron().bfloat16()

class Automatic(Perceptron):
    def forward(self, x):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return self.layers(x).float()

class Stored(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.words, self.out = nn.Embedding(100, 32).half(), nn.Linear(32, 5)

    def forward(self, ids):
        return self.out(self.words(ids).float().mean(1))

class Both(nn.Module):
    def __init__(self):
        super().__init__()
        self.narrow, self.exact = Perceptron().half(), Perceptron()

    def forward(self, x):
        return {"narrow": self.narrow(x), "exact": self.exact(x)}

class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.inner = nn.MultiheadAttention(32, 4, batch_first=True)

    def forward(self, x):
        return self.inner(x, x, x, need_weights=False)[0]

def attention():
    return Attention().half()

class Branches(Perceptron):
    def forward(self, x):
        x = x.half()
        if x.sum() > 0:  # a trace keeps one of the two
            x = x * 1.5
        return self.layers(x).float()

def branches():
    return Branches().half()
"""
TF = """
import keras
import numpy as np
import tensorflow as tf

def mixed():
    keras.utils.set_random_seed(0)
    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        x = keras.Input((8, 8, 3), name="x")
        y = keras.layers.Conv2D(16, 3, padding="same", activation="relu")(x)
        y = keras.layers.GlobalAveragePooling2D()(keras.layers.BatchNormalization()(y))
        return keras.Model(x, keras.layers.Dense(5, dtype="float32")(y))
    finally:
        keras.mixed_precision.set_global_policy("float32")

def bf16():
    first, second = (np.random.default_rng(0).normal(0, 0.3, shape) for shape in ((12, 64), (64, 5)))
    first, second = tf.constant(first, tf.bfloat16), tf.constant(second, tf.bfloat16)

    @tf.function(input_signature=[tf.TensorSpec([None, 12], tf.float32, name="x")])
    def call(x):
        return tf.cast(tf.nn.tanh(tf.cast(x, tf.bfloat16) @ first) @ second, tf.float32)

    return call
"""
JAX = """
import jax.numpy as jnp
import numpy as np

def _of(kind):
    first, second = (np.random.default_rng(0).normal(0, 0.3, shape) for shape in ((12, 64), (64, 5)))
    first, second = jnp.asarray(first, kind), jnp.asarray(second, kind)
    return lambda x: (jnp.tanh(x.astype(kind) @ first) @ second).astype(jnp.float32)

def fp16():
    return _of("float16")

def bf16():
    return _of("bfloat16")
"""
SOURCES = {"torch": TORCH, "tf": TF, "jax": JAX}
LACKS = "lacks an operator"


@dataclass(frozen=True)
class Case:
    """
    Attributes:
        arithmetic: what the model is seen to compute in.
        refused: words of why a route's file is refused, by route; "" where it is right.
    """

    framework: str
    function: str
    arithmetic: str
    refused: dict[str, str]
    shape: str = "x=batch,12"


CASES = [
    Case("torch", "fp16", "fp16", {"torch-dynamo": "", "torch-script": ""}),
    Case("torch", "bf16", "bf16", {"torch-dynamo": LACKS}),
    Case("torch", "Automatic", "bf16", {"torch-dynamo": "does not load"}),  # LayerNorm of two types
    Case("torch", "Stored", "fp32", {"torch-dynamo": "", "torch-script": ""}, "ids=int64:batch,7"),
    Case("torch", "Both", "fp16", {"torch-dynamo": "", "torch-script": ""}),
    Case("torch", "branches", "fp16", {"torch-script": "differs by"}, "x=4,12"),
    Case("tf", "mixed", "fp16", {"tf2onnx": ""}, "x=batch,8,8,3"),
    Case("tf", "bf16", "bf16", {"tf2onnx": "does not load"}),  # it writes constants of bf16 as float16
    Case("jax", "fp16", "fp16", {"jax2onnx": "does not load"}),  # a Gemm of two types
    Case("jax", "bf16", "bf16", {"jax2onnx": LACKS}),
]


def probed(folder: Path, case: Case) -> Probed:
    file = folder / f"{case.framework}_models.py"
    file.write_text(SOURCES[case.framework])
    return probe(to_probe(folder, f"{file}:{case.function}", case.shape, framework=case.framework, batches=(1, 8)))


def judged(folder: Path, model: UserModel, route: str) -> str:
    """The reason for which a route's file is refused, or ""."""
    try:
        request = to_check(folder, model, exported(folder, model, route), route)
        return run_job(CHECK, request, folder / "log", limit_seconds=LIMIT_SECONDS).reason
    except FailedError as error:
        return str(error)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.framework}-{case.function}")
def test_a_right_export_passes_by_the_rounding_of_its_own_precision(case: Case, tmp_path: Path) -> None:
    found = probed(tmp_path, case)
    assert found.model.arithmetic == case.arithmetic
    assert found.reference, found.reason
    for route, words in case.refused.items():
        reason = judged(tmp_path, found.model, route)
        assert words in reason
        assert bool(reason) == bool(words), reason


@pytest.mark.slow
def test_a_level_at_which_onnxruntime_dies_costs_that_level(tmp_path: Path) -> None:
    """ONNX Runtime 1.32's fusion of attention crashes on this file; every other level is right."""
    found = probed(tmp_path, Case("torch", "attention", "fp16", {}, "x=float16:batch,6,32"))
    reason = judged(tmp_path, found.model, "torch-dynamo")
    assert re.search("the file is right .*level all: .* was ended by SIGSEGV", reason), reason
