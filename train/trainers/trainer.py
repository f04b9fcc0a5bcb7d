"""The interface between the shared training loop and each framework."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from assay.spec import ModelSpec
from assay.train.recipe import Recipe
from assay.train.weights import Weights

State = dict[str, NDArray[np.float32]]
"""Weights under their canonical names, and the optimiser's arrays under the prefixes below."""

FIRST_MOMENT, SECOND_MOMENT, STEPS = "adam.first.", "adam.second.", "adam.steps"


class Trainer(Protocol):
    """A model with its optimiser, in one framework, from neutral weights to neutral weights."""

    def __init__(self, spec: ModelSpec, recipe: Recipe, weights: Weights) -> None: ...

    def step(self, images: NDArray[np.float32], labels: NDArray[np.int64], learning_rate: float) -> float:
        """Make one optimiser step on images (batch, H, W, C), -1..1; return the loss before it."""

    def logits(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the logits (batch, classes) in evaluation mode."""

    def weights(self) -> Weights:
        """Return a copy of the weights."""

    def state(self) -> State:
        """Return a copy of all that is needed to continue exactly from here; at least one step has been made."""

    def restore(self, state: State) -> None:
        """Continue from a state that `state` returned, in this or another framework."""
