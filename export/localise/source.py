"""The steps with which a wrong file is compared: the native model's own values, or those of a right file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.generic]


@dataclass(frozen=True)
class ComputationStep:
    """One operation.

    Attributes:
        text: description, such as "max_pool2d(3, 2, 1)".
        inputs, outputs: names of its values, without constants.
        layer: the canonical layer that it belongs to, "stage1.unit1.norm"; "" between layers, or if unknown.
        name: name of the node, where it has one.
    """

    text: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    layer: str = ""
    name: str = ""

    @property
    def told(self) -> str:
        """The description, with the node's name."""
        return f"{self.text} '{self.name}'" if self.name else self.text


@dataclass(frozen=True)
class ExactComputation:
    """A right computation with every value in float64, by name.

    Attributes:
        constants: values that do not depend on the input.
        steps: the steps, in the order in which they run.
    """

    values: Mapping[str, Array]
    constants: frozenset[str]
    steps: tuple[ComputationStep, ...]

    def taking(self, names: set[str]) -> list[int]:
        """Return the places of the steps that take one of these values."""
        return [place for place, step in enumerate(self.steps) if names & set(step.inputs)]

    def layer_of(self, name: str) -> str:
        """Return the canonical layer that makes a value, "" for the input and between layers."""
        return next((step.layer for step in self.steps if name in step.outputs), "")


@dataclass(frozen=True)
class Followed:
    """A native model's computation with its outputs by name, in the model's order."""

    source: ExactComputation
    outputs: Mapping[str, Array]
