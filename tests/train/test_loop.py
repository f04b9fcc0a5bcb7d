"""The training loop with a small real trainer in numpy: stop, resume, best epoch, budget."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from assay import steps
from assay.errors import ArtifactError
from assay.records.trainings import Sitting
from assay.spec import ModelSpec
from assay.steps import LOAD_SECONDS
from assay.train import loop
from assay.train.batches import Batches
from assay.train.datasets.data import Dataset, Split
from assay.train.loop import Checkpoint, Progress, TrainingNews, allowed_for, parts, train
from assay.train.recipe import Recipe
from assay.train.trainers.trainer import STEPS, State
from assay.train.weights import Weights

CLASSES = 3


class Softmax:
    """Softmax regression by gradient descent."""

    def __init__(self, spec: ModelSpec, recipe: Recipe, weights: Weights) -> None:
        del spec, recipe
        self._kernel = weights["kernel"].copy()
        self._steps = 0

    def step(self, images: NDArray[np.float32], labels: NDArray[np.int64], learning_rate: float) -> float:
        pixels = images.reshape(len(images), -1)
        scores = pixels @ self._kernel
        shares = np.exp(scores - scores.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        gradient = pixels.T @ (shares - np.eye(CLASSES)[labels]) / len(images)
        self._kernel -= (5 * learning_rate * gradient).astype(np.float32)
        self._steps += 1
        return float(-np.log(shares[np.arange(len(labels)), labels]).mean())

    def logits(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        return images.reshape(len(images), -1) @ self._kernel

    def weights(self) -> Weights:
        return {"kernel": self._kernel.copy()}

    def state(self) -> State:
        return self.weights() | {STEPS: np.array([self._steps], np.float32)}

    def restore(self, state: State) -> None:
        self._kernel, self._steps = state["kernel"].copy(), int(state[STEPS][0])


def dataset() -> Dataset:
    random = np.random.default_rng(0)

    def split(count: int) -> Split:
        labels = random.integers(0, CLASSES, count)
        noise = random.integers(0, 100, (count, 4, 4, 1))
        return Split((noise + 70 * labels[:, None, None, None]).astype(np.uint8), labels)

    return Dataset("drawn", 4, split(96), split(30), split(30), ("a", "b", "c"), "", "", "", True, "")


def sitting(machine: str = "first") -> Sitting:
    return Sitting(begun="2026-11-28T18:46:00+00:00", machine=machine, made_by={})


def run(
    folder: Path,
    *,
    epochs: float = 6,
    minutes: float = 0,
    stop_after: int = 0,
    seen: list[TrainingNews] | None = None,
    machine: str = "first",
    kill_at: int = 0,
) -> tuple[Progress, Weights]:
    class Killed(Softmax):
        def step(self, images: NDArray[np.float32], labels: NDArray[np.int64], learning_rate: float) -> float:
            if kill_at and self._steps == kill_at:
                raise KeyboardInterrupt
            return super().step(images, labels, learning_rate)

    images, recipe = dataset(), Recipe(batch_size=8)
    start = {"kernel": np.zeros((16, CLASSES), np.float32)}
    seen = [] if seen is None else seen

    def report(news: TrainingNews) -> None:
        seen.append(news)
        if stop_after and news.epoch and len([one for one in seen if one.epoch]) == stop_after:
            raise KeyboardInterrupt

    trained = train(
        partial(Killed, ModelSpec("drawn", 4, CLASSES, 1), recipe, start),
        Batches(images.train, 8, 0),
        images,
        recipe,
        epochs=epochs,
        minutes=minutes,
        checkpoint=Checkpoint(folder, "key", sitting(machine)),
        report=report,
    )
    return trained.progress, trained.best


def test_it_learns_and_keeps_the_best(tmp_path: Path) -> None:
    progress, best = run(tmp_path)
    accuracies = [epoch.validation_accuracy for epoch in progress.history]
    assert progress.step == progress.steps == 72
    assert accuracies[progress.best] == max(accuracies) > 0.6
    assert best["kernel"].any()


def test_stopped_and_resumed_is_the_same_as_never_stopped(tmp_path: Path) -> None:
    whole, whole_best = run(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "parts", stop_after=2)
    parts, parts_best = run(tmp_path / "parts")
    np.testing.assert_array_equal(whole_best["kernel"], parts_best["kernel"])
    assert [e.training_loss for e in whole.history] == [e.training_loss for e in parts.history]


@pytest.mark.parametrize("kill_at", [5, 16])  # 12 steps are an epoch
def test_one_killed_within_an_epoch_loses_no_step_before_its_last_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kill_at: int
) -> None:
    whole, whole_best = run(tmp_path / "whole", epochs=2)
    monkeypatch.setattr(loop, "SECONDS_BETWEEN_CHECKPOINTS", -1.0)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "parts", epochs=2, kill_at=kill_at)
    parts, parts_best = run(tmp_path / "parts", epochs=2, machine="second")
    np.testing.assert_array_equal(whole_best["kernel"], parts_best["kernel"])
    curves = [
        [(e.epoch, e.training_loss, e.validation_loss, e.validation_accuracy) for e in progress.history]
        for progress in (whole, parts)
    ]
    assert curves[0] == curves[1]
    assert [(one.machine, one.steps) for one in parts.sittings] == [("first", kill_at), ("second", 24 - kill_at)]


def test_a_checkpoint_within_an_epoch_is_written_once_in_a_while(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, kill_at=17)
    progress, _ = run(tmp_path, machine="second")
    assert [one.steps for one in progress.sittings] == [12, 60], "in less than a minute only the evaluation is kept"
    assert sum(one.seconds for one in progress.sittings) == pytest.approx(progress.seconds)


def test_the_steps_of_an_epoch_have_a_limit_and_the_remaining_epochs_are_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[dict[str, Any]] = []
    monkeypatch.setattr(steps, "_send", told.append)
    news: list[TrainingNews] = []
    run(tmp_path, epochs=1.5, seen=news)
    named = [one["step"] for one in told if one["step"]]
    first, second = ["Epoch 1 of 2"] * 3, ["Epoch 2 of 2"] * 3
    assert named == [*first, "The evaluation after epoch 1 of 2", *second, "The evaluation after epoch 2 of 2"]
    ended = [one for one in news if one.epoch]
    assert [one.epochs for one in ended] == [1.5, 1.5]
    assert ended[0].left > ended[1].left == 0


def test_an_epoch_may_take_in_proportion_to_its_second_step() -> None:
    assert [len(one) for one in parts(24, 36)] == [1, 1, 10]
    assert [list(one) for one in parts(3, 5)] == [[3], [4]]
    assert list(parts(7, 7)) == []
    assert allowed_for(1, 0) == LOAD_SECONDS, "the first compiles"
    assert allowed_for(1000, 0.5) == LOAD_SECONDS + 5000, "there is no most: an epoch may take hours"


def test_epochs_may_be_a_fraction(tmp_path: Path) -> None:
    progress, _ = run(tmp_path, epochs=1.5)
    assert [epoch.epoch for epoch in progress.history] == [1, 1.5]


def test_minutes_cut_the_schedule_beforehand(tmp_path: Path) -> None:
    progress, _ = run(tmp_path, epochs=1e6, minutes=1e-5)
    assert 1 <= progress.step == progress.steps < 1e6


def test_a_checkpoint_of_another_training_is_not_used(tmp_path: Path) -> None:
    run(tmp_path)
    assert Checkpoint(tmp_path, "other", sitting()).read() is None


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    run(tmp_path)
    (tmp_path / "progress.json").write_text('{"key": "key"')
    with pytest.raises(ArtifactError, match=r"checkpoint in .* is damaged"):
        Checkpoint(tmp_path, "key", sitting()).read()
