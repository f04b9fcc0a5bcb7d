"""Synthetic cells: deterministic, the same at every size, too hard for a linear model but not for a network."""

from __future__ import annotations

import time
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression, RidgeClassifier

from assay.errors import DataError
from assay.train.datasets.data import SPLITS, DataRequest, Dataset, Split, load_dataset
from assay.train.datasets.synthetic import COUNTS, KINDS


@cache
def _whole() -> Dataset:
    return load_dataset(DataRequest("synthetic", 28))


def _pixels(split: Split) -> NDArray[np.float32]:
    return (split.images.reshape(len(split.images), -1) / 255 - 0.5).astype(np.float32)


def test_the_default_set_is_balanced_labelled_and_quickly_drawn() -> None:
    began = time.process_time()
    dataset = load_dataset(DataRequest("synthetic", 28))
    assert time.process_time() - began < 10
    for split, count in COUNTS.items():
        assert np.bincount(getattr(dataset, split).labels).tolist() == [count // len(KINDS)] * len(KINDS)
    assert dataset.synthetic
    assert dataset.notice.startswith("SYNTHETIC")
    assert dataset.classes == tuple(kind.name for kind in KINDS)


def test_a_seed_determines_every_pixel() -> None:
    assert load_dataset(DataRequest("synthetic", 28)).content_hash == _whole().content_hash
    assert load_dataset(DataRequest("synthetic", 28, seed=1)).content_hash != _whole().content_hash


def test_a_limit_leaves_the_other_pictures_as_they_are() -> None:
    few = load_dataset(DataRequest("synthetic", 28, limit=24))
    for split in SPLITS:
        whole = {image.tobytes() for image in getattr(_whole(), split).images}
        assert all(image.tobytes() in whole for image in getattr(few, split).images)


def test_no_picture_occurs_twice() -> None:
    pictures = {image.tobytes() for split in SPLITS for image in getattr(_whole(), split).images}
    assert len(pictures) == sum(COUNTS.values())


def test_a_larger_size_shows_the_same_cells() -> None:
    """Shrunk again, they differ from the small ones only by noise and edges, unlike other cells."""
    small = load_dataset(DataRequest("synthetic", 28, limit=40)).train.images.astype(np.float32)
    large = load_dataset(DataRequest("synthetic", 112, limit=40)).train.images.astype(np.float32)
    shrunk = large.reshape(40, 28, 4, 28, 4, 3).mean((2, 4))
    same = np.abs(shrunk - small).mean((1, 2, 3))
    other = np.abs(shrunk - np.roll(small, 1, axis=0)).mean((1, 2, 3))
    assert same.max() < 15
    assert np.median(same) < np.median(other) / 2


@pytest.mark.parametrize("size", [8, 37])
def test_any_size_can_be_drawn(size: int) -> None:
    dataset = load_dataset(DataRequest("synthetic", size, limit=8))
    assert dataset.train.images.shape == (8, size, size, 3)
    assert dataset.train.images.std() > 20


@pytest.mark.parametrize(("name", "seed"), [("synthetic:x", 0), ("synthetic", -1)])
def test_what_cannot_be_drawn_is_refused(name: str, seed: int) -> None:
    with pytest.raises(DataError, match="synthetic"):
        load_dataset(DataRequest(name, 28, seed=seed))


@pytest.mark.parametrize("strength", [1, 100])
def test_a_linear_model_fails(strength: float) -> None:
    """It stays far below a network's accuracy (an eighth is chance), although it fits its training images."""
    train, test = _whole().train, _whole().test
    model = RidgeClassifier(alpha=strength).fit(_pixels(train), train.labels)
    assert model.score(_pixels(train), train.labels) > 0.7
    assert 0.2 < model.score(_pixels(test), test.labels) < 0.6


@pytest.mark.slow
def test_logistic_regression_fails_too() -> None:
    """At its best regularisation (of 0.01, 0.1, 1) and fully fitted: 63 % when written."""
    train, test = _whole().train, _whole().test
    model = LogisticRegression(C=0.1, max_iter=600).fit(_pixels(train), train.labels)
    assert model.score(_pixels(test), test.labels) < 0.7


@pytest.mark.slow
def test_a_small_convolutional_network_learns() -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    random = np.random.default_rng(0)

    def block(inputs: int, outputs: int) -> object:
        convolution = torch.nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        return torch.nn.Sequential(convolution, torch.nn.BatchNorm2d(outputs), torch.nn.ReLU())

    pool = torch.nn.MaxPool2d(2)
    end = (torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(64, len(KINDS)))
    model = torch.nn.Sequential(block(3, 16), pool, block(16, 32), pool, block(32, 64), *end)
    images = torch.tensor(_whole().train.images).permute(0, 3, 1, 2) / 127.5 - 1
    labels = torch.tensor(_whole().train.labels)
    epochs, steps = 12, len(images) // 50
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 1e-2, total_steps=epochs * steps)
    for _ in range(epochs):
        for batch in random.permutation(len(images)).reshape(steps, 50):
            shown = torch.rot90(images[batch], int(random.integers(4)), (2, 3))
            loss = torch.nn.functional.cross_entropy(model(shown), labels[batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    model.eval()
    with torch.no_grad():
        answers = model(torch.tensor(_whole().test.images).permute(0, 3, 1, 2) / 127.5 - 1).argmax(1)
    assert (answers.numpy() == _whole().test.labels).mean() > 0.9
