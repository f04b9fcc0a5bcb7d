"""A program of `jax.export` in JAX, on the CPU, whose cores are those of its process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax import export
from numpy.typing import NDArray


class OpenedByJax:
    """A function from inputs by name to outputs; the file has them by position alone.

    Attributes:
        inputs, outputs: by name, NumPy's name of their types, as they are expected.
    """

    def __init__(
        self, path: str | Path, options: Mapping[str, str], inputs: Mapping[str, str], outputs: Mapping[str, str]
    ) -> None:
        del options
        self._program = jax.jit(export.deserialize(bytearray(Path(path).read_bytes())).call)
        self.inputs, self.outputs = dict(inputs), dict(outputs)

    def __call__(self, inputs: Mapping[str, NDArray[Any]], outputs: Sequence[str]) -> list[NDArray[Any]]:
        answer = self._program(*(inputs[name] for name in self.inputs))
        # JAX has no whole numbers of 64 bits unless told, and the most probable class is promised as one.
        kinds = zip(map(np.asarray, answer), self.outputs.values(), strict=True)
        found = [one.astype(kind) if one.dtype.kind in "iu" else one for one, kind in kinds]
        named = dict(zip(self.outputs, found, strict=True))
        return [named[name] for name in outputs]


def open_model(
    path: str | Path, options: Mapping[str, str], inputs: Mapping[str, str], outputs: Mapping[str, str]
) -> OpenedByJax:
    """The file; it compiles for each shape at its first call. ValueError where it is refused."""
    return OpenedByJax(path, options, inputs, outputs)
