"""The training protocol, as numbers that every framework reads, with nothing left for a framework to decide."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace

from pydantic import JsonValue

from assay.train.weights import NORM_EPSILON


@dataclass(frozen=True)
class Recipe:
    """AdamW (Loshchilov & Hutter 2019, arXiv:1711.05101) with a one-cycle schedule (Smith & Topin 2017,
    arXiv:1708.07120) and label smoothing.

    Attributes:
        batch_size: images in a step; the last, incomplete batch of an epoch is left out.
        peak_learning_rate: learning rate reached after `warmup` of all steps, from 1/25 of it; it ends at 1e-5 of it.
        weight_decay: decoupled weight decay, on kernels only.
        beta1, beta2, adam_epsilon: Adam's constants.
        label_smoothing: share of the target spread over all classes.
        norm_momentum: share of BatchNorm's running statistics that a step keeps.
        norm_epsilon: number added to BatchNorm's variance while training.
        convention: origin of the initial weights; see `assay.train.architectures.initial_weights`.
    """

    batch_size: int = 64
    peak_learning_rate: float = 4e-3
    warmup: float = 0.3
    weight_decay: float = 0.05
    beta1: float = 0.9
    beta2: float = 0.999
    adam_epsilon: float = 1e-8
    label_smoothing: float = 0.05
    norm_momentum: float = 0.9
    norm_epsilon: float = NORM_EPSILON
    convention: str = "shared"

    def to_dict(self) -> dict[str, JsonValue]:
        """Return the fields as JSON has them."""
        return asdict(self)

    def learning_rate(self, step: int, steps: int) -> float:
        """Return the learning rate of a step (from 0) of a training of `steps` steps."""
        peak_at = max(self.warmup * steps - 1, 1)
        if step <= peak_at:
            return _cosine(self.peak_learning_rate / 25, self.peak_learning_rate, step / peak_at)
        along = (step - peak_at) / max(steps - 1 - peak_at, 1)
        return _cosine(self.peak_learning_rate, self.peak_learning_rate * 1e-5, min(along, 1))


def _cosine(start: float, end: float, along: float) -> float:
    """Return half a cosine from start (along 0) to end (along 1)."""
    return end + (start - end) * (1 + math.cos(math.pi * along)) / 2


OWN_DEFAULTS: dict[str, Recipe] = {
    "torch": Recipe(norm_momentum=0.9, norm_epsilon=1e-5, adam_epsilon=1e-8, convention="torch"),
    "tf": Recipe(norm_momentum=0.99, norm_epsilon=1e-3, adam_epsilon=1e-7, convention="keras"),
    "jax": Recipe(norm_momentum=0.99, norm_epsilon=1e-5, adam_epsilon=1e-8, convention="flax"),
}
"""The defaults of each framework: initialiser, BatchNorm and Adam constants."""
DIFFERING = ("norm_momentum", "norm_epsilon", "adam_epsilon", "convention")
"""The fields in which defaults differ."""


def one_default_each(recipe: Recipe) -> dict[str, Recipe]:
    """Return the recipe with one constant at a time as some framework has it by default, by "norm_momentum=0.99"."""
    return {
        f"{name}={value}": replace(recipe, **{name: value})
        for name in DIFFERING
        for value in dict.fromkeys(getattr(default, name) for default in OWN_DEFAULTS.values())
        if value != getattr(recipe, name)
    }


def frameworks_with(changed: str) -> list[str]:
    """Return the frameworks that have a constant, such as "norm_momentum=0.99", by default."""
    return [name for name, recipe in OWN_DEFAULTS.items() if changed in {f"{k}={v}" for k, v in vars(recipe).items()}]
