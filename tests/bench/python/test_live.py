"""Live models are written in a suitable format and compute the same, or are refused with the reason."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from assay.bench.python.given import as_arrays, written_inputs
from assay.bench.python.live.written import located
from assay.errors import InputError
from assay.files.arrays import load_arrays

FEATURES = np.linspace(-1, 1, 8, dtype=np.float32).reshape(1, 8)


class Net(torch.nn.Module):
    """In training mode its dropout would give other numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(torch.nn.Linear(8, 3), torch.nn.Dropout(0.5))

    def forward(self, features: torch.Tensor, scale: torch.Tensor | None = None) -> torch.Tensor:
        found = self.layers(features)
        return found if scale is None else found * scale


class Undecided(torch.nn.Module):
    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return features if features.sum().item() > 0 else -features


class OneRow(torch.nn.Module):
    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return features.reshape(2, 8)


def at_the_top(features: Any) -> Any:
    return features + 1


def test_a_module_becomes_a_program_for_any_batch_and_keeps_its_mode(tmp_path: Path) -> None:
    module = Net()
    found = located(module, FEATURES, tmp_path)
    assert (found.location.form, found.names, module.training) == ("program", ("features",), True)
    program = torch.export.load(found.location.path).module()
    rows = torch.randn(5, 8)
    assert torch.equal(program(features=rows), module.eval()(rows))


def test_a_module_takes_the_inputs_that_are_named(tmp_path: Path) -> None:
    found = located(Net(), {"scale": np.float32(2), "features": FEATURES}, tmp_path)
    assert found.names == ("features", "scale")
    with pytest.raises(InputError, match="expected features, scale, found featurs"):
        located(Net(), {"featurs": FEATURES}, tmp_path)
    with pytest.raises(InputError, match="traces it with an example"):
        located(Net(), None, tmp_path)


def test_a_module_of_one_batch_is_written_for_that(tmp_path: Path) -> None:
    found = located(OneRow(), FEATURES, tmp_path)
    assert torch.export.load(found.location.path).module()(features=torch.ones(2, 8)).shape == (2, 8)


def test_what_torch_cannot_export_is_refused_with_its_reason(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"Undecided cannot be written to disk: .*data-dependent.*FILE\.py:FUNCTION"):
        located(Undecided(), FEATURES, tmp_path)


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_torchs_and_onnxs_own_forms_are_written_as_they_are(tmp_path: Path) -> None:
    linear = torch.nn.Linear(8, 2)
    program = located(torch.export.export(linear, (torch.ones(2, 8),)), None, tmp_path)
    script = located(torch.jit.trace(linear, torch.ones(2, 8)), None, tmp_path)
    assert (program.location.path.suffix, script.location.path.suffix) == (".pt2", ".pt")
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", 8]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "relu", ends[:1], ends[1:])
    found = located(helper.make_model(graph), None, tmp_path)
    assert (found.location.form, found.names) == ("onnx", ("x",))
    assert onnx.load(found.location.path).graph.node[0].op_type == "Relu"


def test_a_function_is_its_own_file_or_refused(tmp_path: Path) -> None:
    found = located(at_the_top, FEATURES, tmp_path, "jax")
    assert (found.location.path, found.location.function) == (Path(__file__).resolve(), "at_the_top")
    assert (found.location.kind, found.names) == ("jax", ("features",))

    def within(features: Any) -> Any:
        return at_the_top(features) * FEATURES.size

    found = located(within, FEATURES, tmp_path)
    assert (found.location.path, found.location.function) == (tmp_path / "within.py", "within")
    for hidden in (lambda features: features, partial(at_the_top)):
        with pytest.raises(InputError, match=r"exists only in this session.*FILE\.py:FUNCTION"):
            located(hidden, FEATURES, tmp_path)
    with pytest.raises(InputError, match=r"found an object of builtins\.int"):
        located(5, FEATURES, tmp_path)


def test_inputs_are_written_under_any_names(tmp_path: Path) -> None:
    given = {"file": FEATURES, "two": torch.ones(2, 3), "three": [1, 2]}
    path = written_inputs(given, (), tmp_path)
    assert path is not None
    found = load_arrays(path)
    assert list(found) == list(given)
    assert np.array_equal(found["two"], np.ones((2, 3)))
    assert written_inputs(None, (), tmp_path) is None
    assert written_inputs("given.npz", (), tmp_path) == Path("given.npz")


@pytest.mark.parametrize(
    ("inputs", "names", "message"),
    [
        (FEATURES, (), "names of the model's inputs are unknown"),
        ([FEATURES, FEATURES, FEATURES], ("a", "b"), "More arrays than inputs"),
        ({"a": "text"}, (), "'a' is not an array of numbers"),
        ({"a": None}, (), "'a' is not an array of numbers"),
    ],
)
def test_inputs_that_are_none_are_refused(inputs: object, names: tuple[str, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        as_arrays(inputs, names)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_keras_models_and_functions_of_tensorflow_are_written(tmp_path: Path) -> None:
    keras, tf = pytest.importorskip("keras"), pytest.importorskip("tensorflow")

    plain = keras.Sequential([keras.Input((8,), name="features"), keras.layers.Dense(3)])
    assert located(plain, None, tmp_path).location.form == "keras"

    class Twice(keras.layers.Layer):  # type: ignore[misc]
        def call(self, features: Any) -> Any:
            return features * 2

    own = keras.Sequential([keras.Input((8,), name="features"), Twice()], name="own")
    found = located(own, None, tmp_path)
    assert (found.location.form, len(found.names)) == ("saved-model", 1)
    weights = tf.Variable(np.ones((8, 2), np.float32))

    @tf.function  # type: ignore[untyped-decorator]
    def product(features: Any) -> Any:
        return features @ weights

    found = located(product, FEATURES, tmp_path)
    assert (found.location.form, found.names) == ("saved-model", ("features",))
    loaded = tf.saved_model.load(str(found.location.path)).signatures["serving_default"]
    (rows,) = loaded(features=tf.ones((3, 8))).values()
    assert np.array_equal(rows, np.full((3, 2), 8))
