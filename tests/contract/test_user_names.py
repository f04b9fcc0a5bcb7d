"""Inputs by their names and outputs from any container, in every framework, route and runtime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from assay.errors import InputError
from assay.export.probing.loading import load
from assay.registry import EXPORTERS, RUNTIMES
from assay.train.brought.loaders.loaded import LoadedModel
from assay.train.brought.sources import locate
from tests.contract.test_user_models import agrees, checked, exported, probed

HEAD = """
import dataclasses, typing

@dataclasses.dataclass
class Answer:
    scores: typing.Any
    hidden: dict
    attentions: typing.Any = None

class Pair(typing.NamedTuple):
    first: typing.Any
    second: typing.Any
"""
COMPUTE = """
        found = left - 2 * right
        if scale is not None:
            found = found * scale
        if shift is not None:
            found = found + shift
        return Answer(found, {"left": left + 1, "pair": Pair(right * 2, (None, left))})
"""
TORCH = f"""
from torch import nn

class Model(nn.Module):
    def forward(self, left, right, shift=None, *, scale=None):{COMPUTE}
def build():
    return Model()
"""
TF = f"""
import tensorflow as tf

class Model(tf.Module):
    def __call__(self, left, right, shift=None, *, scale=None):{COMPUTE}
def build():
    return Model()
"""
JAX = f"""
import jax

class Model:
    def __call__(self, left, right, shift=None, *, scale=None):{COMPUTE}
def build():
    return Model()
"""
KINDS = {"torch": TORCH, "tf": TF, "jax": JAX}
EVERY_KIND = [pytest.param(kind, marks=pytest.mark.slow if kind == "tf" else ()) for kind in KINDS]
OUTPUTS = {"scores", "hidden.left", "hidden.pair.first", "hidden.pair.second.1"}
LEFT, RIGHT, SCALE = np.float32([[1, 2]]), np.float32([[3, 5]]), np.float32(10)


def loaded(kind: str, folder: Path) -> LoadedModel:
    path = folder / f"named_{kind}.py"
    path.write_text(HEAD + KINDS[kind])
    return load(locate(f"{path}:build", kind))[1]


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_inputs_go_to_the_arguments_of_their_names_in_any_order(kind: str, tmp_path: Path) -> None:
    model = loaded(kind, tmp_path)
    found = model.bound(["scale", "right", "left"]).native([SCALE, RIGHT, LEFT])
    np.testing.assert_array_equal(found["scores"], (LEFT - 2 * RIGHT) * SCALE)
    np.testing.assert_array_equal(model.bound(["a", "b"]).native([LEFT, RIGHT])["scores"], LEFT - 2 * RIGHT)
    for names, words in ((["left", "rigth"], "no argument 'rigth'"), (["a", "b", "c"], "no argument 'a'")):
        with pytest.raises(InputError, match=rf"{words}.*left, right, shift \(optional\), scale \(optional\)"):
            model.bound(names)


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_outputs_are_named_and_may_be_left_out(kind: str, tmp_path: Path) -> None:
    model = loaded(kind, tmp_path)
    found = model.bound(["left", "right"]).native([LEFT, RIGHT])
    assert set(found) == OUTPUTS
    np.testing.assert_array_equal(found["hidden.pair.first"], RIGHT * 2)
    assert set(model.bound(["left", "right"], ["scores"]).native([LEFT, RIGHT])) == OUTPUTS - {"scores"}
    with pytest.raises(InputError, match=r"--without does not name an output.*Did you mean 'scores'"):
        model.bound(["left", "right"], ["score"]).native([LEFT, RIGHT])


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_float64_has_the_outputs_in_the_same_order(kind: str, tmp_path: Path) -> None:
    model = loaded(kind, tmp_path).bound(["right", "left"])
    native, double = model.native([RIGHT, LEFT]), model.double()([RIGHT, LEFT])
    assert list(native) == list(double)
    assert {value.dtype for value in double.values()} == {np.dtype(np.float64)}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_routes_and_runtimes_call_it_so_too(kind: str, tmp_path: Path) -> None:
    """With a keyword-only argument, a scalar beside a batch, and an output that is an unchanged input."""
    path = tmp_path / "named.py"
    path.write_text(HEAD + KINDS[kind])
    found = probed(tmp_path, f"{path}:build", ["right=batch,4", "left=batch,4", "scale="])
    model = found.model
    assert found.reference, found.reason
    assert ([one.shared for one in model.inputs], model.batch, model.whole) == ([False, False, True], None, False)
    assert {one.name for one in model.outputs} == OUTPUTS
    for route, entry in EXPORTERS.items():
        if entry.framework == kind:
            file = exported(tmp_path, model, route)
            assert checked(tmp_path, model, file) == ""
            agrees(tmp_path, model, "ort.cpu", file)
    for entry in RUNTIMES.loading(kind):
        agrees(tmp_path, model, entry.name)
