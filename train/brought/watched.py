"""The calls of a user's model, each with a limit: a model that never returns is given up (`assay.steps`)."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from assay.steps import EVALUATOR_SECONDS, EVALUATOR_SLOWER, SLOWER, call_seconds, in_proportion, step
from assay.train.brought.loaders.loaded import Array, Called, Compute, LoadedModel

_natives: list[Watched] = []


@dataclass
class Watched:
    """A model as a `Compute` that reports for every call how long it may take.

    Attributes:
        name: name of the model, for people.
        least: seconds that every call may take.
        slowest: seconds of the slowest call so far, and of a row in it; 0 where there was none.
    """

    compute: Compute
    name: str
    least: float
    slowest: float = 0.0
    slowest_row: float = 0.0
    _calls: int = 0

    def __call__(self, inputs: Sequence[Array]) -> dict[str, Array]:
        rows = max((len(one) for one in inputs if one.ndim), default=1)
        self._calls += 1
        what = f"The first call of {self.name}" if self._calls == 1 else f"Call {self._calls} of {self.name}"
        begun = time.monotonic()
        with step(what, max(self.least, in_proportion(self.slowest_row * rows, SLOWER))):
            found = self.compute(inputs)
        took = time.monotonic() - begun
        self.slowest, self.slowest_row = max(self.slowest, took), max(self.slowest_row, took / max(rows, 1))
        return found


def watched(loaded: LoadedModel, name: str, size: int) -> LoadedModel:
    """Return the model with its calls watched; in float64 the limits depend on the times in its own precision so far.

    Args:
        size: bytes of its file; if it is large, the first call may take longer.
    """

    def called(*asked: Sequence[str]) -> Called:
        compute, double = loaded.called(*asked)
        native = Watched(compute, name, call_seconds(size))
        _natives.append(native)
        return native, lambda: _double(double, native, size)

    return replace(loaded, called=called)


def _double(make: Callable[[], Compute], native: Watched, size: int) -> Compute:
    """Return the model in float64, which may be an evaluator in Python."""
    least = in_proportion(native.slowest, EVALUATOR_SLOWER, size, EVALUATOR_SECONDS)
    with step(f"Converting {native.name} to float64", least):
        return Watched(make(), f"{native.name} in float64", least)


def slowest_call() -> float:
    """Return the seconds of the slowest call so far, in its own precision, of any model that this process watches."""
    return max((one.slowest for one in _natives), default=0.0)
