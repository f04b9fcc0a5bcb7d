"""Images moved to the boundary are on it, in float32 and within the range of an image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from assay.errors import InputError
from assay.export.classification.boundary_job import BoundaryRequest, find_boundary
from tests.export.models import Workspace, workspace

IMAGES = 4


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return workspace("bloodnet", tmp_path_factory)


def test_margins_vanish_and_images_stay_images(place: Workspace, tmp_path: Path) -> None:
    start, out = tmp_path / "start.npy", tmp_path / "out.npy"
    images = np.random.default_rng(3).uniform(-1, 1, (IMAGES, *place.spec.image_shape)).astype(np.float32)
    np.save(start, images)
    margins = find_boundary(BoundaryRequest(weights=place.folder / "weights", images=start, out=out), tmp_path / "log")
    found = np.load(out)
    assert (found.shape, found.dtype) == (images.shape, np.float32)
    assert np.abs(found).max() <= 1
    assert len(margins) == IMAGES
    # Well below what fp32 computes these logits to; a random image's margin is five orders larger.
    assert max(margins) < 1e-5
    assert (found != images).any(axis=(1, 2, 3)).all()


def test_images_of_another_shape_are_refused(place: Workspace, tmp_path: Path) -> None:
    np.save(tmp_path / "start.npy", np.zeros((2, 8, 8, 3), np.float32))
    request = BoundaryRequest(weights=place.folder / "weights", images=tmp_path / "start.npy", out=tmp_path / "out.npy")
    with pytest.raises(InputError, match="do not fit"):
        find_boundary(request, tmp_path / "log")
