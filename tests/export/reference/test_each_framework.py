"""Every framework, and NumPy, computes our architectures alike in float64, and each can be the reference alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from assay.export.classification.boundary_job import BoundaryRequest, find_boundary
from assay.export.reference.reference import load_forward, references_here
from assay.registry import ARCHITECTURES, FRAMEWORKS, REFERENCES
from assay.spec import ModelSpec
from assay.train.models import on_numpy
from assay.train.weights import save_weights
from tests.contract.training_steps import moved_weights
from tests.export.models import Workspace, workspace


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return workspace("bloodnet", tmp_path_factory)


def test_the_first_two_that_are_installed_compute_and_check(monkeypatch: pytest.MonkeyPatch) -> None:
    there: set[str] = set()
    monkeypatch.setattr("assay.entries.find_spec", lambda name: name if name in there else None)
    assert references_here() == ["numpy"]
    for name, entry in FRAMEWORKS.items():
        there = set(entry.packages)
        assert references_here() == [name, "numpy"]
    there = {package for entry in FRAMEWORKS.values() for package in entry.packages}
    assert references_here() == ["torch", "jax", "tf", "numpy"]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_numpy_is_torch_to_the_rounding_of_float64(architecture: str, tmp_path: Path) -> None:
    spec, weights = ModelSpec(architecture, 28, 8), tmp_path / "weights.safetensors"
    save_weights(weights, moved_weights(spec))
    images = np.random.default_rng(0).normal(size=(2, *spec.image_shape)).astype(np.float32)
    found = {name: load_forward(name, spec, weights, "float64")(images) for name in ("torch", "numpy")}
    assert found["numpy"].dtype == np.float64
    assert np.abs(found["numpy"] - found["torch"]).max() < 1e-13 * np.abs(found["torch"]).max()


def test_nan_goes_through_every_layer_that_it_reaches() -> None:
    spec = ModelSpec("bloodnet", 28, 8)
    images = np.zeros((2, *spec.image_shape), np.float32)
    images[1, 5, 5, 0] = np.nan
    logits = on_numpy.load(spec, moved_weights(spec))(images)
    assert np.isfinite(logits[0]).all()
    assert np.isnan(logits[1]).all()


@pytest.mark.slow
@pytest.mark.parametrize("framework", REFERENCES)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_all_agree(framework: str, architecture: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    made = workspace(architecture, tmp_path_factory)
    reference, found = made.logits("torch", "float64"), made.logits(framework, "float64")
    assert np.abs(found - reference).max() < 1e-12 * np.abs(reference).max()


@pytest.mark.slow
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_the_boundary_is_found_by_its_gradients(framework: str, place: Workspace, tmp_path: Path) -> None:
    start, out = tmp_path / "start.npy", tmp_path / "out.npy"
    np.save(start, np.random.default_rng(3).uniform(-1, 1, (5, *place.spec.image_shape)).astype(np.float32))
    request = BoundaryRequest(weights=place.folder / "weights", images=start, out=out, framework=framework)
    assert max(find_boundary(request, tmp_path / "log")) < 1e-5
