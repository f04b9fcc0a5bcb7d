"""Models that are random or keep a state, in every framework; the printed remedies, which work; and the whole numbers
that are drawn.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from assay.numerics.precisions import is_quantised
from tests.contract.test_user_models import TWO, checked, exported, probed

pytestmark = pytest.mark.slow

TORCH = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, always):
        super().__init__()
        self.first, self.last, self.always = nn.Linear(10, 20), nn.Linear(20, 3), always

    def forward(self, x):
        hidden = torch.relu(self.first(x))
        return self.last(nn.functional.dropout(hidden, 0.3, training=self.always or self.training))

class Counting(nn.Module):
    def __init__(self):
        super().__init__()
        self.last = nn.Linear(10, 3)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x):
        self.calls += 1
        return self.last(x) + 0.01 * self.calls

class Counted(nn.Module):
    def __init__(self):
        super().__init__()
        self.last = nn.Linear(10, 3)

    def forward(self, x, calls):
        return {"answer": self.last(x) + 0.01 * (calls + 1), "calls_now": calls + 1}

class Quantised(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(10, 20), nn.Linear(20, 3)

    def forward(self, x):
        return self.last(torch.relu(self.first(x)))

def embedded(): return nn.Sequential(nn.Embedding(100, 8), nn.Linear(8, 3))
def random(): return Net(True)
def evaluated(): return Net(False).train()
def state(): return Counting()
def outside(): return Counted()
def quantised(): return torch.ao.quantization.quantize_dynamic(Quantised().eval(), {nn.Linear})

def normed():
    layers = nn.Sequential(nn.Linear(10, 20), nn.LayerNorm(20))
    return torch.ao.quantization.quantize_dynamic(layers.eval(), {nn.Linear})

"""
TF = """
import keras
import tensorflow as tf

SIGNATURE = [tf.TensorSpec([None, 10], tf.float32, name="x")]

def network():
    layers = [keras.layers.Dense(20, activation="relu"), keras.layers.Dropout(0.3), keras.layers.Dense(3)]
    return keras.Sequential([keras.Input((10,)), *layers])

def called(training):
    net = network()

    @tf.function(input_signature=SIGNATURE)
    def model(x):
        return net(x, training=training)

    return model

def noise():
    @tf.function(input_signature=SIGNATURE)
    def model(x):
        return x + tf.random.normal(tf.shape(x))

    return model

class Counting(tf.Module):
    def __init__(self):
        self.calls = tf.Variable(0.0)

    @tf.function(input_signature=SIGNATURE)
    def __call__(self, x):
        self.calls.assign_add(1.0)
        return x + 0.01 * self.calls

def one_hot():
    @tf.function(input_signature=[tf.TensorSpec([None, 6], tf.int32, name="ids")])
    def model(ids):
        return tf.reduce_sum(tf.one_hot(ids, 7), 1)

    return model

def training(): return called(True)
def evaluated(): return called(False)
def state(): return Counting()
"""
JAX = """
import jax
import numpy as np

table = jax.numpy.asarray(np.arange(800, dtype=np.float32).reshape(100, 8))

def looked_up(ids):
    return table[ids].mean(1)

calls, keys = [0], [jax.random.key(0)]

def state(x):
    calls[0] += 1
    return x * 2 + 0.01 * calls[0]

def drawing(x):
    keys[0], key = jax.random.split(keys[0])
    return x + jax.random.normal(key, x.shape)

def random(x):
    return x + np.random.normal(size=x.shape).astype(np.float32)

def outside(x, calls):
    return {"answer": x * 2 + 0.01 * (calls + 1), "calls_now": calls + 1}
"""
BRANCH = """
import torch

class Branch(torch.nn.Module):
    def forward(self, x):
        return x * 2 if x.sum() >= 0 else x

def build(): return Branch()
"""
SHIFT = """
import torch

class Shift(torch.nn.Module):
    def forward(self, codes):
        return (codes * 3) >> 2

def build(): return Shift()
"""
FILES = {"in_torch.py": TORCH, "in_tf.py": TF, "in_jax.py": JAX, "two.py": TWO}
SHAPE = ["x=batch,10"]
STATE_OUTSIDE = ["x=batch,10", "calls=batch,1"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("steady")
    for name, text in FILES.items():
        (place / name).write_text(text)
    return place


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("in_torch.py:random", "it draws random numbers"),
        ("in_torch.py:state", "it keeps a state"),
        ("in_tf.py:training", "it keeps a state"),  # that of the generator which every layer of Keras has
        ("in_tf.py:noise", "it draws random numbers"),
        ("in_tf.py:state", "it keeps a state"),
        ("in_jax.py:state", "it keeps a state"),
        ("in_jax.py:drawing", "it keeps a state"),
        ("in_jax.py:random", "it draws random numbers"),
    ],
)
def test_a_model_that_answers_the_same_input_differently_is_identified(model: str, words: str, folder: Path) -> None:
    with pytest.raises(Exception, match="answers the same input differently from call to call") as caught:
        probed(folder, f"{folder}/{model}", SHAPE)
    assert words in str(caught.value)
    assert "depend on each other" not in str(caught.value)


@pytest.mark.parametrize(
    ("model", "shapes"),
    [
        ("in_torch.py:evaluated", SHAPE),  # dropout that follows self.training, in a model that comes in training mode
        ("in_torch.py:outside", STATE_OUTSIDE),
        ("in_tf.py:evaluated", SHAPE),
        ("in_jax.py:outside", STATE_OUTSIDE),
    ],
)
def test_what_follows_the_remedy_is_compared(model: str, shapes: list[str], folder: Path) -> None:
    assert probed(folder, f"{folder}/{model}", shapes).reference


def test_rows_that_depend_on_each_other_go_with_the_size_that_is_printed(folder: Path) -> None:
    with pytest.raises(Exception, match=r"depend on each other.*--dimension batch=4"):
        probed(folder, f"{folder}/two.py:Mixing", ["rows=batch,3"])
    model = probed(folder, f"{folder}/two.py:Mixing", ["rows=batch,3"], {"batch": 4}).model
    assert model.whole
    assert checked(folder, model, exported(folder, model, "torch-dynamo")) == ""


def test_dynamic_quantisation_is_compared_where_rows_follow_each_other(folder: Path) -> None:
    model = probed(folder, f"{folder}/in_torch.py:quantised", SHAPE).model
    assert model.batch is None
    assert is_quantised(model.arithmetic)


def test_dynamic_quantisation_is_identified_where_a_row_spoils_the_others(folder: Path) -> None:
    """A single large row makes the scale of its call too coarse for the others."""
    x = np.random.default_rng(0).normal(size=(8, 10)).astype(np.float32)
    x[3] *= 1000
    np.savez(folder / "large.npz", x=x)
    build = f"{folder}/in_torch.py:normed"
    with pytest.raises(Exception, match=r"quantises each call with its own scale \(Linear\).*--dimension batch=1"):
        probed(folder, build, SHAPE, inputs=folder / "large.npz")
    assert probed(folder, build, SHAPE, {"batch": 1}, inputs=folder / "large.npz").model.batch == 1


def test_whole_numbers_that_are_drawn_show_what_an_export_makes_of_negative_ones(folder: Path) -> None:
    (folder / "shift.py").write_text(SHIFT)
    probe = probed(folder, f"{folder}/shift.py:build", ["codes=int64:batch,5"])
    assert "'codes' from -2,147,483,648 to 2,147,483,647" in probe.made
    wrong = checked(folder, probe.model, exported(folder, probe.model, "torch-script"))
    assert re.search(r"at the edges: output 'output': \d+ of \d+ numbers differ \(largest by 1\)", wrong)
    assert checked(folder, probe.model, exported(folder, probe.model, "torch-dynamo")) == ""


@pytest.mark.parametrize(
    ("model", "shapes", "words"),
    [
        ("in_jax.py:looked_up", ["ids=int32:batch,6"], "'ids' whole numbers 0 to 99 (there are no places for more)"),
        ("in_tf.py:one_hot", ["ids=int32:batch,6"], "'ids' whole numbers 0 to 6 (there are no places for more)"),
        ("in_torch.py:embedded", ["ids=int64:batch,6"], "'ids' whole numbers 0 to 99 (the model refuses more)"),
    ],
)
def test_an_index_is_drawn_from_its_places_in_every_framework(
    model: str, shapes: list[str], words: str, folder: Path
) -> None:
    assert words in probed(folder, f"{folder}/{model}", shapes).made


def test_all_records_that_are_given_are_compared(folder: Path) -> None:
    (folder / "branch.py").write_text(BRANCH)
    x = np.abs(np.random.default_rng(0).normal(size=(100, 4))).astype(np.float32)
    x[77] *= -1
    np.savez(folder / "given.npz", x=x)
    model = probed(folder, f"{folder}/branch.py:build", ["x=1,4"], inputs=folder / "given.npz").model
    assert len(np.load(folder / "reference.npy")) == 100
    assert "differs by" in checked(folder, model, exported(folder, model, "torch-script"))
