"""Hard images are what their names say, and the same every time."""

from __future__ import annotations

import numpy as np
import pytest

from assay.bench.auditing.hard_inputs import EXTREME_CONTRAST, extreme_inputs, hard_inputs, special_inputs

SHAPES = [(28, 28, 3), (28, 28, 1), (224, 224, 3), (1, 1, 1)]


@pytest.mark.parametrize("shape", SHAPES)
def test_hard_images_are_within_the_range_of_an_image(shape: tuple[int, int, int]) -> None:
    found = hard_inputs(shape)
    assert found.images.shape == (len(found.names), *shape)
    assert found.images.dtype == np.float32
    assert np.abs(found.images).max() == 1
    assert len(set(found.names)) == len(found.names)
    assert np.array_equal(found.images, hard_inputs(shape).images)


def test_the_named_images_are_there() -> None:
    found = hard_inputs((28, 28, 3))
    images = dict(zip(found.names, found.images, strict=True))
    assert (images["black"] == -1).all()
    assert (images["white"] == 1).all()
    assert (images["one white pixel in the centre"] == 1).sum() == 3
    assert set(np.unique(images["saturated noise 0"])) == {-1, 1}
    assert 0 < np.abs(images["below the smallest normal number"]).max() < np.finfo(np.float32).tiny


@pytest.mark.parametrize("shape", SHAPES)
def test_extreme_images_are_finite(shape: tuple[int, int, int]) -> None:
    found = extreme_inputs(shape)
    assert found.images.shape == (len(found.names), *shape)
    assert np.abs(found.images).max() == EXTREME_CONTRAST


@pytest.mark.parametrize("shape", SHAPES)
def test_every_special_image_has_something_that_is_not_finite(shape: tuple[int, int, int]) -> None:
    found = special_inputs(shape)
    assert len(found.names) == len(found.images)
    assert (~np.isfinite(found.images)).any(axis=(1, 2, 3)).all()
