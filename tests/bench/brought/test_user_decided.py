"""Functions that return ids, masks and levels: in every framework the exports show which scores decide these, and at a
tie another answer of a run counts as right.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from assay.bench.brought.exports import bring, exported, files_of, look_for_deciders
from assay.bench.brought.work import Wanted, Work
from assay.bench.words.progress import Narrator
from assay.numerics.ties import Alternatives
from assay.train.brought.agreement import Judge, parts_of
from assay.train.brought.arrays import Array
from assay.train.brought.model import read_shapes
from assay.train.brought.sources import locate

pytestmark = pytest.mark.slow
SCORES = """
import numpy as np
W = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)
IDS = np.array([10, 20, 30, 40])
"""
TORCH = """
import torch

class Deciding(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("w", torch.tensor(W))
        self.register_buffer("ids", torch.tensor(IDS))

    def forward(self, x):
        score = x @ self.w
        above, below = score > 0.5, score < -0.5
        return {
            "mask": torch.where(above, 4, 1),
            "either": above | below,
            "level": torch.round(score * 4).to(torch.int64),
            "sign": torch.sign(score - 0.5).to(torch.int64),
            "count": above.sum(dim=1, keepdim=True),
            "id": self.ids[torch.argmax(score, dim=1)],
        }

def build():
    return Deciding()
"""
TF = """
import tensorflow as tf

def build():
    class Deciding(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, 8], tf.float32, name="x")])
        def __call__(self, x):
            score = tf.matmul(x, tf.constant(W))
            above, below = score > 0.5, score < -0.5
            return {
                "mask": tf.where(above, 4, 1),
                "either": above | below,
                "level": tf.cast(tf.round(score * 4), tf.int64),
                "sign": tf.cast(tf.sign(score - 0.5), tf.int64),
                "count": tf.reduce_sum(tf.cast(above, tf.int32), axis=1, keepdims=True),
                "id": tf.gather(tf.constant(IDS), tf.argmax(score, axis=1)),
            }
    return Deciding()
"""
JAX = """
import jax.numpy as jnp

def build():
    def deciding(x):
        score = x @ jnp.asarray(W)
        above, below = score > 0.5, score < -0.5
        return {
            "mask": jnp.where(above, 4, 1),
            "either": above | below,
            "level": jnp.round(score * 4).astype(jnp.int32),
            "sign": jnp.sign(score - 0.5).astype(jnp.int32),
            "count": above.sum(axis=1, keepdims=True),
            "id": jnp.asarray(IDS)[jnp.argmax(score, axis=1)],
        }
    return deciding
"""
MODELS = {"torch": TORCH, "tf": TF, "jax": JAX}
SCORE_AT = {"mask": 0.5, "either": 0.5, "level": 0.125, "sign": 0.5}
"""The score at which each output ties."""


def records() -> np.ndarray:
    """Inputs of which the first score of the first one is, to rounding, at the ties in turn."""
    chance = np.random.default_rng(1)
    weights = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)
    rows = chance.normal(size=(64, 8))
    for place, score in enumerate((0.5, 0.125)):
        rows[place] *= score / (rows[place] @ weights[:, 0].astype(np.float64))
    return rows.astype(np.float32)


@pytest.mark.parametrize("kind", MODELS)
def test_at_a_tie_another_answer_is_right_and_nowhere_else(kind: str, tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(SCORES + MODELS[kind])
    np.savez(tmp_path / "inputs.npz", x=records())
    location = locate(f"{tmp_path / 'model.py'}:build", kind if kind == "jax" else "")
    wanted = Wanted(location, read_shapes(["x=batch,8"]), inputs=tmp_path / "inputs.npz", trusted=True)
    work = Work(wanted, tmp_path / "work", Narrator())
    brought, exports = exported(work, bring(work))
    files = files_of(work, exports)
    assert files, [one.reason for one in exports]
    look_for_deciders(work, brought, files)
    outputs = {name.rpartition(".")[2]: (name, part) for name, part in parts_of(brought.model)}
    assert {name.rpartition(".")[2] for name in brought.deciders} == set(outputs), [one.exporter for one in exports]
    judge = Judge(brought.model, brought.reference, {kind: brought.native}, brought.exact, brought.deciders)
    for short, score in SCORE_AT.items():
        name, part = outputs[short]
        decider = brought.deciders[name]
        assert isinstance(decider, Alternatives), short
        tied, clear = (0, 2) if score == 0.5 else (1, 2)
        other = {float(one) for one in decider.values[tied, 0]} - {float(brought.native[tied, part.start])}
        assert len(other) >= 1, short
        assert agreed(judge, brought.native, (tied, part.start), other.pop()), short
        assert not agreed(judge, brought.native, (clear, part.start), 99.0), short


def agreed(judge: Judge, native: Array, place: tuple[int, int], value: float) -> bool:
    """Return whether the model's own outputs with one number changed still agree."""
    rows = native.astype(np.float64)
    rows[place] = value
    return judge.compare("a run", rows, np.arange(len(rows))).passed
