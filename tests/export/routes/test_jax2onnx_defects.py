"""The two known defects of jax2onnx, with the real exporter: audited, refused, and the first one localised."""

from __future__ import annotations

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import onnx
import pytest
from flax import nnx
from jax2onnx import to_onnx

from assay.bench.auditing.pairs.pair import PairRequest, audit_pair
from assay.export.localise.on_onnx_repro import shows
from assay.train.models import on_jax
from assay.train.weights import load_weights
from tests.export.models import Workspace, workspace

SIZE = 13


class Pooled(nnx.Module):
    """A convolution, a max-pool with padding, and a mean."""

    def __init__(self, *, explicit: bool) -> None:
        self.conv = nnx.Conv(3, 4, kernel_size=(3, 3), padding="SAME", rngs=nnx.Rngs(0))
        self.explicit = explicit

    def __call__(self, x: jax.Array) -> jax.Array:
        x = nnx.relu(self.conv(x))
        if self.explicit:
            x = nnx.max_pool(x, window_shape=(3, 3), strides=(2, 2), padding=((1, 1), (1, 1)))
        else:
            x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
            x = nnx.max_pool(x, window_shape=(3, 3), strides=(2, 2))
        return x.mean(axis=(1, 2))


def exported(model: nnx.Module, size: int, path: Path) -> Path:
    to_onnx(
        model,
        [("batch", size, size, 3)],
        model_name="model",
        opset=18,
        return_mode="file",
        output_path=str(path),
        input_names=["image"],
        output_names=["logits"],
    )
    return path


@pytest.mark.slow
def test_the_padding_that_jax2onnx_drops_is_found_at_the_pool(tmp_path: Path) -> None:
    images = np.random.default_rng(0).normal(size=(2, SIZE, SIZE, 3)).astype(np.float32)
    right, wrong = Pooled(explicit=False), Pooled(explicit=True)
    assert np.allclose(right(images), wrong(images))
    reference = exported(right, SIZE, tmp_path / "right.onnx")
    candidate = exported(wrong, SIZE, tmp_path / "wrong.onnx")
    found = audit_pair(PairRequest(reference, candidate, None, {}, repro=tmp_path / "repro"))
    assert not found.passed
    assert all("another function" in reason for reason in found.reasons)
    pool = next(one for one in found.models[0].localisations if one.operator == "MaxPool")
    assert shows(tmp_path / pool.repro)
    assert [node.op_type for node in onnx.load(tmp_path / pool.repro / "model.onnx").graph.node] == ["MaxPool"]


@pytest.fixture(scope="module")
def resnet(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return workspace("resnet18", tmp_path_factory)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Flax's, of how jax2onnx reads its variables
def test_the_batchnorm_that_jax2onnx_spoils_is_refused(resnet: Workspace, tmp_path: Path) -> None:
    weights = load_weights(resnet.folder / "weights" / "weights.safetensors")
    spoiled = exported(on_jax.load(resnet.spec, weights), resnet.spec.size, tmp_path / "spoiled.onnx")
    found = audit_pair(PairRequest(resnet.model("jax2onnx"), spoiled, None, {}, repro=tmp_path / "repro"))
    assert not found.passed
    assert all("candidate" in reason for reason in found.reasons)
    (refused,) = found.models[0].localisations
    assert refused.operator == "Add"
    assert not refused.runs
    assert all("written as" in text for text in refused.attributes.values())
    assert shows(tmp_path / refused.repro)
