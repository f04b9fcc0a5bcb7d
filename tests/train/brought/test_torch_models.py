"""PyTorch models that write to their inputs, are plain functions, keep what they made in their first call, or compute
with complex numbers.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from assay.export.probing.probe import Probed, probe  # noqa: E402
from assay.train.brought.loaders.on_torch import load_bound  # noqa: E402
from assay.train.brought.named.on_torch import ByPosition, forward_of, traceable  # noqa: E402
from assay.train.brought.source import built  # noqa: E402
from tests.user_models import to_probe  # noqa: E402
from tests.zoo.member import NETS  # noqa: E402

STRANGERS = NETS / "torch_strangers.py"


def probed(folder: Path, function: str, *shapes: str) -> Probed:
    found = probe(to_probe(folder, f"{STRANGERS}:{function}", *shapes))
    assert found.reference == "the PyTorch model in float64"
    return found


def test_a_model_that_writes_to_its_input_gets_a_copy(tmp_path: Path) -> None:
    found = probed(tmp_path, "WritesToInput", "x=batch,8")
    assert found.model.written == ("x",)
    assert found.told == ["The model writes to its input 'x', and gets a copy of it in every call."]
    built.cache_clear()  # float64 has changed it
    module, binding = load_bound(found.model)
    x = torch.ones(2, 8)
    for forward in (forward_of(module, binding, (), ""), traceable(module, binding, (), [x])):
        forward([x]) if not isinstance(forward, ByPosition) else forward(x)
        assert bool((x == 1).all())


def test_parts_of_arguments_are_inputs(tmp_path: Path) -> None:
    shapes = ("parts.0=batch,3", "parts.1=batch,3", "batch.image.left=batch,2", "batch.scale=batch,1")
    found = probed(tmp_path, "Several", *shapes)
    assert [one.name for one in found.model.inputs] == [one.partition("=")[0] for one in shapes]


def test_a_function_of_tensors_is_a_model(tmp_path: Path) -> None:
    found = probed(tmp_path, "plain_function", "x=batch,8")
    rows = np.load(tmp_path / "reference.npy")
    x = np.load(tmp_path / "records.npy")["x"].astype(np.float64)
    right = np.exp(2 * x) / np.exp(2 * x).sum(1, keepdims=True)
    np.testing.assert_allclose(rows, right[: len(rows)], rtol=1e-13)
    assert (found.model.kind, found.model.written) == ("torch", ())


def test_what_is_made_in_the_first_call_can_be_traced(tmp_path: Path) -> None:
    found = probed(tmp_path, "LazyTable", "x=batch,6,8")
    built.cache_clear()  # float64 has changed it
    module, binding = load_bound(found.model)
    traceable(module, binding, (), [torch.zeros(2, 6, 8)])
    assert not module.table.is_inference()


def test_complex_numbers_are_widened_too(tmp_path: Path) -> None:
    probed(tmp_path, "Spectrum", "x=batch,16")
    torch.manual_seed(0)
    weights = torch.randn(9, dtype=torch.complex64).numpy().astype(np.complex128)
    x = np.load(tmp_path / "records.npy")["x"].astype(np.float64)
    rows = np.load(tmp_path / "reference.npy")
    right = np.fft.irfft(np.fft.rfft(x) * weights, n=16)
    np.testing.assert_allclose(rows, right[: len(rows)], rtol=1e-12, atol=1e-12)
