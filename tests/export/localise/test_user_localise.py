"""The node at which a file departs from a user's own model, followed operator by operator in each framework."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from assay.export.localise.localise_job import PARTINGS, PartingsRequest, partings_of
from assay.jobs.running import run_job
from assay.records.localisation import Localisation
from assay.train.brought.arrays import record_type
from assay.train.brought.model import Kind, Location, Tensor, UserModel
from tests.onnx_files import save_onnx

RECORDS = 12
TORCH = """
import torch
class Pooled(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.pool = torch.nn.AvgPool2d(3, 2, 1, divisor_override=5)
    def forward(self, x):
        return torch.tanh(self.pool(torch.sin(x)))
def build():
    return Pooled()
"""
FLOORED = {
    "torch": "import torch\nclass M(torch.nn.Module):\n    def forward(self, x):\n        return -((-x) >> 1)\n"
    "def build():\n    return M()\n",
    "tf": "import tensorflow as tf\n@tf.function(input_signature=[tf.TensorSpec([None, 4], tf.int32, name='x')])\n"
    "def build(x):\n    return -tf.math.floordiv(-x, 2)\n",
    "jax": "def build(x):\n    return -((-x) // 2)\n",
}


def message(
    folder: Path, kind: Kind, code: str, file: Path, model: dict[str, Tensor], native: np.ndarray, values: np.ndarray
) -> PartingsRequest:
    """A model's code, a file, and the model's own outputs, as `compare-model` passes them on."""
    (folder / "model.py").write_text(code, encoding="utf-8")
    location = Location(path=folder / "model.py", form="function", kind=kind, function="build")
    described = UserModel(location=location, kind=kind, inputs=(model["x"],), outputs=(model["y"],))
    records = np.zeros(len(values), record_type(described.inputs))
    records["x"] = values
    np.save(folder / "records.npy", records)
    np.save(folder / "native.npy", native.reshape(len(values), -1))
    return PartingsRequest(
        model=described,
        file=file,
        records=folder / "records.npy",
        native=folder / "native.npy",
        repro=folder / "repro" / "it",
    )


def in_a_job(folder: Path, asked: PartingsRequest) -> list[Localisation]:
    return run_job(PARTINGS, asked, folder / "log", limit_seconds=300).found


def shows(folder: Path, found: Localisation) -> bool:
    done = subprocess.run([sys.executable, str(folder / found.repro / "run.py")], capture_output=True, check=False)
    return done.returncode == 1


def divided(folder: Path, kind: int) -> Path:
    """-(-x / 2) of whole numbers, which rounds towards zero."""
    nodes = [
        helper.make_node("Neg", ["x"], ["a"], name="first"),
        helper.make_node("Div", ["a", "two"], ["b"], name="divide"),
        helper.make_node("Neg", ["b"], ["y"], name="last"),
    ]
    return save_onnx(
        folder / "m.onnx",
        nodes,
        {"x": (kind, ["batch", 4])},
        {"y": (kind, ["batch", 4])},
        {"two": np.array(2, helper.tensor_dtype_to_np_dtype(kind))},
    )


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param("torch", marks=pytest.mark.slow),
        pytest.param("tf", marks=pytest.mark.slow),
        pytest.param("jax", marks=pytest.mark.slow),
    ],
)
def test_a_rounding_towards_zero_is_named_in_every_framework(kind: Kind, tmp_path: Path) -> None:
    values = np.arange(1, 4 * RECORDS + 1, dtype=np.int32).reshape(RECORDS, 4)
    whole = {name: Tensor(name=name, dtype="int32", shape=(4,)) for name in "xy"}
    file = divided(tmp_path, TensorProto.INT32)
    (found,) = in_a_job(tmp_path, message(tmp_path, kind, FLOORED[kind], file, whole, -((-values) // 2), values))
    if kind == "jax":  # which has a division that rounds towards zero too, and mends its result
        assert (found.node, found.among, found.proven) == ("last", ["divide"], True)
        assert any("select_n" in one for one in found.missing)
    else:
        assert (found.node, found.operator, found.proven) == ("divide", "Div", True)
        assert found.inputs == ["a"]
    assert "the following nodes are right with that instead" in str(found)
    assert shows(tmp_path, found)


def pooled(folder: Path, **attributes: object) -> Path:
    nodes = [
        helper.make_node("Sin", ["x"], ["a"], name="sine"),
        helper.make_node("AveragePool", ["a"], ["b"], name="pool", kernel_shape=[3, 3], strides=[2, 2], **attributes),
        helper.make_node("Tanh", ["b"], ["y"], name="tanh"),
    ]
    return save_onnx(folder / "m.onnx", nodes, {"x": ["batch", 2, 7, 7]}, {"y": ["batch", 2, 4, 4]})


def test_a_lost_divisor_is_found_at_its_layer(tmp_path: Path) -> None:
    """The model's pool divides by 5, the file's by 9."""
    model = {
        "x": Tensor(name="x", dtype="float32", shape=(2, 7, 7)),
        "y": Tensor(name="y", dtype="float32", shape=(2, 4, 4)),
    }
    values = np.random.default_rng(0).normal(size=(RECORDS, 2, 7, 7)).astype(np.float32)
    padded = np.pad(np.sin(values), [(0, 0), (0, 0), (1, 1), (1, 1)])
    sums = sum(padded[..., row : row + 7 : 2, column : column + 7 : 2] for row in range(3) for column in range(3))
    file = pooled(tmp_path, pads=[1, 1, 1, 1], count_include_pad=1)
    (found,) = partings_of(message(tmp_path, "torch", TORCH, file, model, np.tanh(sums / 5), values))
    assert (found.node, found.layer, found.proven) == ("pool", "pool", True)
    assert found.reference_nodes == ["avg_pool2d([3, 3], [2, 2], [1, 1], False, True, 5)"]
    assert found.error_before < 1e-9
    assert shows(tmp_path, found)
