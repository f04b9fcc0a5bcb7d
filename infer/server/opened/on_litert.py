"""A file of LiteRT on the CPU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.typing import NDArray

Arrays = list[NDArray[Any]]


class OpenedByLiteRt:
    """A function from inputs by name to outputs; the file has them by position alone.

    With the option "pixels" the file takes normalised images and gives logits, and is asked about decoded pixels.

    Attributes:
        inputs, outputs: by name, NumPy's name of their types: as the file has them, or with "pixels" as they are
            expected.
    """

    def __init__(
        self, path: str | Path, options: Mapping[str, str], inputs: Mapping[str, str], outputs: Mapping[str, str]
    ) -> None:
        plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        self._interpreter = Interpreter(
            model_path=str(path),
            num_threads=int(options.get("threads", 1)),
            experimental_op_resolver_type=plain if options.get("delegate") == "none" else OpResolverType.AUTO,
        )
        self._pixels = "pixels" in options
        taken = sorted(self._interpreter.get_input_details(), key=lambda one: str(one["name"]))
        given = self._interpreter.get_output_details()
        self._inputs, self._outputs = ([int(one["index"]) for one in some] for some in (taken, given))
        self.inputs, self.outputs = dict(inputs), dict(outputs)
        if not self._pixels:
            self.inputs, self.outputs = _typed(inputs, taken), _typed(outputs, given)
        self._shapes: list[tuple[int, ...]] = []

    def __call__(self, inputs: Mapping[str, NDArray[Any]], outputs: Sequence[str]) -> Arrays:
        taken = [np.asarray(inputs[name]) for name in self.inputs]
        found = _decided(self._run([_normalised(taken[0])])[0]) if self._pixels else self._run(taken)
        named = dict(zip(self.outputs, found, strict=True))
        return [named[name] for name in outputs]

    def _run(self, taken: Arrays) -> Arrays:
        shapes = [one.shape for one in taken]
        if shapes != self._shapes:
            for place, shape in zip(self._inputs, shapes, strict=True):
                self._interpreter.resize_tensor_input(place, shape)
            self._interpreter.allocate_tensors()
            self._shapes = shapes
        for place, value in zip(self._inputs, taken, strict=True):
            self._interpreter.set_tensor(place, value)
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(place) for place in self._outputs]


def _typed(names: Mapping[str, str], details: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The types that the file has, by the names that are expected in its order."""
    return {name: np.dtype(one["dtype"]).name for name, one in zip(names, details, strict=True)}


def _normalised(images: NDArray[Any]) -> NDArray[np.float32]:
    """Decoded pixels from -1 to 1, each operation rounded to float32."""
    return images.astype(np.float32) / np.float32(127.5) - np.float32(1)


def _decided(logits: NDArray[Any]) -> Arrays:
    """Probabilities, and the most probable class."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return [powers / powers.sum(axis=1, keepdims=True), np.argmax(logits, axis=1)]


def open_model(
    path: str | Path, options: Mapping[str, str], inputs: Mapping[str, str], outputs: Mapping[str, str]
) -> OpenedByLiteRt:
    """The file, on one thread where the options say nothing; ValueError where it is refused, or has others."""
    return OpenedByLiteRt(path, options, inputs, outputs)
