"""PyTorch's runtimes for a GPU alone, as far as the CPU can run the same code."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from assay.errors import InputError
from assay.infer.runtime import ModelFiles
from assay.infer.runtimes import on_torch_narrow
from assay.infer.runtimes.inductor import on_torch_compiled
from assay.registry import RUNTIMES
from assay.spec import ModelSpec, Settings
from assay.train.architectures import initial_weights
from assay.train.built import BuiltModel
from assay.train.weights import save_weights

SPEC = ModelSpec("bloodnet", 12, 3)
ON_A_GPU = ["torch.eager.bf16", "torch.eager.fp16", "torch.compile.graphs"]


@pytest.fixture
def files(tmp_path: Path) -> ModelFiles:
    save_weights(tmp_path / "w.safetensors", initial_weights(SPEC, 0))
    return ModelFiles(model=BuiltModel(spec=SPEC, weights=tmp_path / "w.safetensors"))


def images(batch: int) -> np.ndarray:
    return np.random.default_rng(batch).normal(size=(batch, 12, 12, 3)).astype(np.float32)


@pytest.mark.parametrize("runtime", ON_A_GPU)
def test_it_is_refused_where_no_gpu_is_asked_for(runtime: str, files: ModelFiles) -> None:
    assert RUNTIMES[runtime].devices == ("cuda",)
    with pytest.raises(InputError, match=r"GPU.*: found cpu"):
        RUNTIMES[runtime].load()(files, Settings())


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_weights_in_16_bits_answer_in_fp32_and_are_seen_to_compute_in_theirs(
    precision: str, files: ModelFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same code on the CPU, which is slow there and no result."""
    monkeypatch.setattr(on_torch_narrow, "need_gpu", lambda *_: None)
    exact, session = (RUNTIMES[name].load()(files, Settings()) for name in ("torch.eager", f"torch.eager.{precision}"))
    wanted, found = (one.fetch(one.run(one.prepare(images(3)))) for one in (exact, session))
    assert found.dtype == np.float32
    assert 0 < np.abs(found - wanted).max() < 0.1 * np.abs(wanted).max()
    assert session.precision == session.observe(session.prepare(images(3))).precision == precision


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # PyTorch's compiler imports what it deprecates
def test_graphs_answer_the_same_and_say_where_inductor_recorded_none(
    files: ModelFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The CPU has no CUDA graphs: Inductor compiles without them."""
    monkeypatch.setattr(on_torch_compiled, "need_gpu", lambda *_: None)
    exact, session = (RUNTIMES[name].load()(files, Settings()) for name in ("torch.eager", "torch.compile.graphs"))
    for batch in (2, 3, 2):
        wanted, found = (one.fetch(one.run(one.prepare(images(batch)))) for one in (exact, session))
        np.testing.assert_allclose(found, wanted, atol=1e-4)
    assert session.observe(session.prepare(images(2))).facts["CUDA graphs"]
