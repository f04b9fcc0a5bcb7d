"""The shared protocol: batches, schedule, weights, metrics, loop."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from assay.errors import ArtifactError, DataError, InputError
from assay.registry import ARCHITECTURES
from assay.spec import ModelSpec
from assay.train.architectures import parameters
from assay.train.batches import Batches, augment, in_order, normalise
from assay.train.datasets.data import Split
from assay.train.metrics import classification_metrics, macro_auc, share
from assay.train.recipe import Recipe
from assay.train.weights import check_weights, fold_batchnorm, initial_weights, load_weights, save_weights


def split(count: int, size: int = 6) -> Split:
    """Images that all differ: the first pixel is the image's number."""
    images = np.random.default_rng(0).integers(0, 255, (count, size, size, 3), dtype=np.uint8)
    return Split(images, np.arange(count, dtype=np.int64))


@given(count=st.integers(4, 60), size=st.integers(1, 8), seed=st.integers(0, 5))
def test_an_epoch_has_every_image_at_most_once(count: int, size: int, seed: int) -> None:
    if count < size:
        return
    batches = Batches(split(count), size, seed)
    labels = np.concatenate([batches.batch(step)[1] for step in range(batches.in_epoch)])
    assert len(labels) == count // size * size
    assert max(Counter(labels.tolist()).values()) == 1


@given(step=st.integers(0, 100))
def test_a_batch_is_a_function_of_seed_and_step(step: int) -> None:
    one, same, other = (Batches(split(32), 8, seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one.batch(step)[0], same.batch(step)[0])
    assert not np.array_equal(one.batch(step)[0], other.batch(step)[0])


def test_augmentation_gives_all_eight_symmetries_and_nothing_else() -> None:
    image = np.arange(75, dtype=np.uint8).reshape(1, 5, 5, 3)
    symmetries = {
        np.rot90(turned, quarter, (0, 1)).tobytes() for turned in (image[0], image[0][:, ::-1]) for quarter in range(4)
    }
    seen = Counter(a.tobytes() for a in augment(np.repeat(image, 4000, axis=0), np.random.default_rng(0)))
    assert set(seen) == symmetries
    assert min(seen.values()) > 400, "each of the eight about 500 times"


def test_normalised_images_span_minus_one_to_one() -> None:
    edges = normalise(np.array([[[[0], [255]]]], np.uint8))
    np.testing.assert_array_equal(edges.ravel(), np.array([-1, 1], np.float32))


def test_in_order_leaves_nothing_out() -> None:
    images = split(10).images
    np.testing.assert_array_equal(np.concatenate(list(in_order(images, 4))), normalise(images))


def test_too_few_images_for_a_batch_say_so() -> None:
    with pytest.raises(DataError, match="at least 64 images, found 10"):
        Batches(split(10), 64, 0)


@given(steps=st.integers(2, 3000))
def test_the_learning_rate_rises_to_its_peak_and_falls_to_nothing(steps: int) -> None:
    recipe = Recipe()
    rates = [recipe.learning_rate(step, steps) for step in range(steps)]
    top = int(np.argmax(rates))
    assert rates[0] == pytest.approx(recipe.peak_learning_rate / 25)
    assert np.all(np.diff(rates[: top + 1]) >= 0)
    assert np.all(np.diff(rates[top:]) <= 0)
    if steps > 20:
        assert max(rates) == pytest.approx(recipe.peak_learning_rate, rel=0.05)
        assert rates[-1] == pytest.approx(recipe.peak_learning_rate * 1e-5)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_weights_survive_the_disk(architecture: str, tmp_path: Path) -> None:
    spec = ModelSpec(architecture, 28, 8)
    weights = initial_weights(spec, 0)
    save_weights(tmp_path / "w.safetensors", weights)
    read = load_weights(tmp_path / "w.safetensors")
    check_weights(spec, read)
    assert all(np.array_equal(weights[name], read[name]) for name in weights)


@pytest.mark.parametrize("convention", ["shared", "torch", "keras", "flax"])
def test_the_start_depends_on_the_seed_alone(convention: str) -> None:
    spec = ModelSpec("bloodnet", 28, 8)
    one, same, other = (initial_weights(spec, seed, convention) for seed in (0, 0, 1))
    assert all(np.array_equal(one[name], same[name]) for name in one)
    assert not np.array_equal(one["head.kernel"], other["head.kernel"])


def test_folding_leaves_no_batchnorm() -> None:
    spec = ModelSpec("resnet18", 28, 8)
    folded = fold_batchnorm(spec, initial_weights(spec, 0))
    assert not [name for name in folded if ".norm." in name]
    convolutions = [p for p in parameters(spec) if p.module.endswith(".conv")]
    assert len([name for name in folded if name.endswith(".conv.bias")]) == len(convolutions) == 20


def test_weights_that_do_not_fit_are_refused_by_name() -> None:
    spec = ModelSpec("bloodnet", 28, 8)
    good = initial_weights(spec, 0)
    with pytest.raises(ArtifactError, match=r"lack 'head\.bias'"):
        check_weights(spec, {name: a for name, a in good.items() if name != "head.bias"})
    with pytest.raises(ArtifactError, match=r"'head\.bias'.*expected \(8,\), found \(9,\)"):
        check_weights(spec, good | {"head.bias": np.zeros(9, np.float32)})
    with pytest.raises(ArtifactError, match="not finite"):
        check_weights(spec, good | {"head.bias": np.full(8, np.nan, np.float32)})
    with pytest.raises(ArtifactError, match="which the model does not have"):
        check_weights(spec, good | {"more": np.zeros(8, np.float32)})


@pytest.mark.parametrize("content", [b"", b"garbage", b"\xff" * 64])
def test_a_damaged_weights_file_is_refused_by_name(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match=r"w\.safetensors"):
        load_weights(path)


def test_a_size_that_vit_cannot_cut_is_refused() -> None:
    with pytest.raises(InputError, match="such as 28, 64, 128 or 224, found 30"):
        parameters(ModelSpec("vit-tiny", 30, 8))


def logits_and_labels(count: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    random = np.random.default_rng(seed)
    labels = random.integers(0, 4, count)
    logits = random.normal(size=(count, 4)) + 1.5 * np.eye(4)[labels]
    return logits.astype(np.float32), labels


def test_auc_is_scikit_learns() -> None:
    logits, labels = logits_and_labels(300, 0)
    scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    found = macro_auc(logits, labels)
    assert found.value == pytest.approx(roc_auc_score(labels, scores, multi_class="ovr"), abs=1e-6)
    assert found.low < found.value < found.high


def test_the_error_of_an_auc_is_that_of_delong() -> None:
    """Two classes mirror each other: of 6 images one pair in nine is in the wrong order, worked out by hand."""
    logits = np.zeros((6, 2), np.float32)
    logits[:, 1] = [0.1, 0.2, 0.4, 0.3, 0.5, 0.6]
    labels = np.array([0, 0, 0, 1, 1, 1])
    found = macro_auc(logits, labels)
    assert found.value == pytest.approx(8 / 9)
    # Of each class two images are well placed and one beats two of three: deviations of 1/9, 1/9 and -2/9, over root 6,
    # which each image has in both areas. Their squares leave (2 * 6)^2 / (2 * (1 + 1 + 16)) - 1 = 3 degrees of freedom.
    half = 3.1824463 * math.sqrt(2 * (1 / 27) / 3) / (8 / 9 * 1 / 9)
    assert (found.low, found.high) == pytest.approx([1 / (1 + math.exp(-(math.log(8) + s * half))) for s in (-1, 1)])


def test_an_auc_of_one_is_known_no_better_than_its_smallest_class() -> None:
    labels = np.array([0] * 30 + [1] * 5)
    found = macro_auc(np.eye(2, dtype=np.float32)[labels] * 9, labels)
    assert (found.value, found.low, found.high) == (1, share(5, 5).low, 1)
    wrong = macro_auc(np.eye(2, dtype=np.float32)[1 - labels] * 9, labels)
    assert (wrong.value, wrong.low, wrong.high) == pytest.approx((0, 0, share(0, 5).high))
    alone = macro_auc(np.zeros((3, 2), np.float32), np.zeros(3, np.int64))
    assert math.isnan(alone.value)
    assert (alone.low, alone.high) == (0, 1)


@given(hits=st.integers(0, 50), more=st.integers(0, 50))
def test_a_share_is_within_its_interval(hits: int, more: int) -> None:
    found = share(hits, hits + more)
    if hits + more:
        assert 0 <= found.low <= found.value <= found.high <= 1
    else:
        assert math.isnan(found.value)


def test_the_wilson_interval_covers() -> None:
    """Of 4,000 simulated shares of 95 % in 200, at least 93 % of the intervals contain the truth."""
    hits = np.random.default_rng(0).binomial(200, 0.95, 4000)
    intervals = {int(h): share(int(h), 200) for h in set(hits.tolist())}
    assert np.mean([intervals[int(h)].low <= 0.95 <= intervals[int(h)].high for h in hits]) > 0.93


def test_metrics_of_a_known_confusion() -> None:
    logits = np.eye(3, dtype=np.float32)[[0, 0, 1, 2, 2, 0]]
    labels = np.array([0, 0, 1, 1, 2, 2])
    found = classification_metrics(logits, labels, ("a", "b", "c"))
    assert found.confusion == [[2, 0, 0], [0, 1, 1], [1, 0, 1]]
    assert found.accuracy.value == pytest.approx(4 / 6)
    assert {name: recall.value for name, recall in found.recall.items()} == {"a": 1, "b": 0.5, "c": 0.5}
