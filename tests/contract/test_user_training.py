"""Models whose layers compute as in training, in every framework: the refusal names them and says what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contract.test_user_models import probed

pytestmark = pytest.mark.slow

TORCH = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, **options):
        super().__init__()
        self.first, self.norm, self.last = nn.Linear(10, 8), nn.BatchNorm1d(8, **options), nn.Linear(8, 3)

    def forward(self, x):
        return self.last(torch.relu(self.norm(self.first(x))))

class Dropping(nn.Module):
    def forward(self, x):
        return nn.functional.dropout(x)

def no_statistics(): return Net(track_running_stats=False).eval()
def evaluated(): return Net()
def dropping(): return Dropping()
"""
TF = """
import keras
import tensorflow as tf

def network(training=None):
    x = keras.Input((10,), name="x")
    norm = keras.layers.BatchNormalization(name="norm")
    return keras.Model(x, keras.layers.Dense(3)(norm(keras.layers.Dense(8)(x), training=training)))

def called(net, training):
    @tf.function(input_signature=[tf.TensorSpec([None, 10], tf.float32, name="x")])
    def model(x):
        return net(x, training=training)

    return model

def dropping():
    return called(keras.Sequential([keras.Input((10,)), keras.layers.Dropout(0.3, name="drop")]), True)

def built(): return network(training=True)
def training(): return called(network(), True)
def evaluated(): return called(network(), False)
"""
JAX = """
import jax
import jax.numpy as jnp
from flax import linen, nnx

class Net(linen.Module):
    training: bool

    @linen.compact
    def __call__(self, x):
        x = linen.LayerNorm()(linen.Dense(8)(x))
        return linen.Dense(3)(linen.BatchNorm(use_running_average=not self.training)(x))

class NewNet(nnx.Module):
    def __init__(self):
        rngs = nnx.Rngs(0)
        self.first, self.norm = nnx.Linear(10, 8, rngs=rngs), nnx.BatchNorm(8, rngs=rngs)
        self.last = nnx.Dropout(0.3, rngs=rngs)

    def __call__(self, x):
        return self.last(self.norm(self.first(x)))

def of_linen(training):
    net = Net(training)
    variables = net.init(jax.random.key(0), jnp.ones((2, 10)))
    return jax.jit(lambda x: net.apply(variables, x, mutable=["batch_stats"])[0])

def batch_norm(x):
    return (x - x.mean(0)) / jnp.sqrt(x.var(0) + 1e-5)

def own(): return lambda x: batch_norm(x * 2)
def training(): return of_linen(True)
def evaluated(): return of_linen(False)
def nnx_training(): return NewNet()

def nnx_norm():
    net = NewNet()
    net.last.deterministic = True
    return net

def nnx_evaluated():
    net = NewNet()
    net.eval()
    return net
"""
FILES = {"in_torch.py": TORCH, "in_tf.py": TF, "in_jax.py": JAX}
SHAPE = ["x=batch,10"]
LINE_OF_NORM = 1 + JAX[: JAX.index("linen.BatchNorm(")].count("\n")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("training")
    for name, text in FILES.items():
        (place / name).write_text(text)
    return place


@pytest.mark.parametrize(
    ("model", "words", "remedy"),
    [
        ("in_torch.py:no_statistics", "norm (BatchNorm1d, track_running_stats=False)", "track_running_stats=True"),
        ("in_tf.py:training", "norm", "training=False"),
        ("in_jax.py:training", f"BatchNorm (in_jax.py, line {LINE_OF_NORM})", "use_running_average=True"),
        ("in_jax.py:nnx_norm", "BatchNorm (in_jax.py, line", "eval()"),
        ("in_jax.py:own", "batch_norm (in_jax.py, line", "use_running_average=True"),
    ],
)
def test_rows_that_the_statistics_of_a_batch_mix_are_refused_with_the_layer(
    model: str, words: str, remedy: str, folder: Path
) -> None:
    with pytest.raises(Exception, match=r"depend on each other, because .* as in training") as caught:
        probed(folder, f"{folder}/{model}", SHAPE)
    assert f"because {words}" in str(caught.value)
    assert "LayerNorm" not in str(caught.value)
    assert remedy in str(caught.value)
    assert "--dimension batch=4" in str(caught.value)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("in_torch.py:dropping", "draws random numbers (dropout(train=True) computes as in training)"),
        ("in_tf.py:dropping", "keeps a state (drop"),
        ("in_jax.py:nnx_training", "Dropout (in_jax.py, line"),
    ],
)
def test_what_drops_numbers_is_named_where_answers_change_from_call_to_call(
    model: str, words: str, folder: Path
) -> None:
    with pytest.raises(Exception, match="answers the same input differently from call to call") as caught:
        probed(folder, f"{folder}/{model}", SHAPE)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "model",
    ["in_torch.py:evaluated", "in_tf.py:built", "in_tf.py:evaluated", "in_jax.py:evaluated", "in_jax.py:nnx_evaluated"],
)
def test_in_evaluation_mode_they_are_compared(model: str, folder: Path) -> None:
    found = probed(folder, f"{folder}/{model}", SHAPE)
    assert found.reference
    changed = [one for one in found.told if one.endswith("eval() is called, which changes norm (BatchNorm1d).")]
    assert len(changed) == (model == "in_torch.py:evaluated")


def test_a_fixed_batch_is_compared_as_a_whole_and_the_layer_is_named(folder: Path) -> None:
    found = probed(folder, f"{folder}/in_torch.py:no_statistics", SHAPE, {"batch": 4})
    assert found.model.whole
    assert "because norm (BatchNorm1d, track_running_stats=False) computes as in training" in found.told[0]
