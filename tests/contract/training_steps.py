"""One framework's forward passes and first training steps, in a separate process.

Arguments: framework, architecture, output .npz, steps, images such as 28x3 (size x channels). Prints one line of JSON.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from assay.registry import FRAMEWORKS
from assay.spec import ModelSpec
from assay.train.recipe import Recipe
from assay.train.trainers.trainer import FIRST_MOMENT, SECOND_MOMENT, STEPS, State, Trainer
from assay.train.weights import Weights, initial_weights

BATCH = 16


def moved_weights(spec: ModelSpec) -> Weights:
    """Weights whose norms and biases are as far from their initial values as training leaves them."""
    weights = initial_weights(spec, seed=0)
    random = np.random.default_rng(1)
    for name, array in weights.items():
        role = name.rpartition(".")[2]
        if role in {"mean", "offset", "bias"}:
            weights[name] = random.normal(0, 0.2, array.shape).astype(np.float32)
        if role in {"variance", "scale"}:
            weights[name] = random.uniform(0.5, 1.5, array.shape).astype(np.float32)
    return weights


def neutral_state(spec: ModelSpec) -> State:
    """A state as after 7 steps, the same for every framework."""
    random = np.random.default_rng(2)
    state = dict(moved_weights(spec))
    for name, array in initial_weights(spec, 0).items():
        if not name.endswith((".mean", ".variance")):
            state[FIRST_MOMENT + name] = random.normal(0, 1e-3, array.shape).astype(np.float32)
            state[SECOND_MOMENT + name] = random.uniform(1e-6, 1e-4, array.shape).astype(np.float32)
    return state | {STEPS: np.array([7], np.float32)}


def main(framework: str, architecture: str, out: str, steps: str, *images_wanted: str) -> None:
    trainer_class: Callable[..., Trainer] = FRAMEWORKS[framework].load()
    recipe, random, arrays = Recipe(), np.random.default_rng(3), {}
    for name in images_wanted:
        size, channels = map(int, name.split("x"))
        spec = ModelSpec(architecture, size, 5, channels)
        arrays[f"images-{name}"] = random.normal(size=(4, *spec.image_shape)).astype(np.float32)
        trainer = trainer_class(spec, recipe, moved_weights(spec))
        arrays[f"logits-{name}"] = trainer.logits(arrays[f"images-{name}"])
    np.savez(Path(out), **arrays)

    sys.stdout.write("\n" + json.dumps(training(trainer_class, architecture, int(steps)) if int(steps) else {}) + "\n")


def training(trainer_class: Callable[..., Trainer], architecture: str, steps: int) -> dict[str, object]:
    """Losses of the first steps, and of the step after a state was restored."""
    recipe, random = Recipe(), np.random.default_rng(4)
    spec = ModelSpec(architecture, 28, 5)
    images = random.normal(size=(BATCH, *spec.image_shape)).astype(np.float32)
    labels = random.integers(0, 5, BATCH)
    trainer = trainer_class(spec, recipe, initial_weights(spec, 0))
    losses = [trainer.step(images, labels, 1e-4) for _ in range(steps)]
    other = trainer_class(spec, recipe, initial_weights(spec, 1))
    other.step(images, labels, 1e-4)
    state = trainer.state()
    other.restore(state)
    next_losses = [one.step(images, labels, 1e-4) or one.step(images, labels, 1e-4) for one in (trainer, other)]
    other.restore(neutral_state(spec))
    other.step(images, labels, 1e-4)
    return {
        "losses": losses,
        "state_names": sorted(state),
        "next_loss": next_losses[0],
        "next_loss_after_restore": next_losses[1],
        "next_loss_from_neutral_state": other.step(images, labels, 1e-4),
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
