"""A TorchScript file in PyTorch, on the CPU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray


class OpenedByTorch:
    """A function from inputs by name to outputs; the file has them by position alone.

    Attributes:
        inputs, outputs: by name, NumPy's name of their types, as they are expected.
    """

    def __init__(
        self, path: str | Path, options: Mapping[str, str], inputs: Mapping[str, str], outputs: Mapping[str, str]
    ) -> None:
        torch.set_num_threads(int(options.get("threads", 1)))
        self._module = torch.jit.load(str(path), map_location="cpu").eval()
        self.inputs, self.outputs = dict(inputs), dict(outputs)

    def __call__(self, inputs: Mapping[str, NDArray[Any]], outputs: Sequence[str]) -> list[NDArray[Any]]:
        # PyTorch shares memory with no array but one that it may write to.
        given = [np.require(inputs[name], requirements=["C", "W"]) for name in self.inputs]
        with torch.inference_mode():
            answer = self._module(*(torch.from_numpy(one) for one in given))
        found = [one.numpy() for one in (answer if isinstance(answer, tuple | list) else [answer])]
        named = dict(zip(self.outputs, found, strict=True))
        return [named[name] for name in outputs]


def open_model(
    path: str | Path, options: Mapping[str, str], inputs: Mapping[str, str], outputs: Mapping[str, str]
) -> OpenedByTorch:
    """The file, on one thread where the options say nothing; RuntimeError where it is refused."""
    return OpenedByTorch(path, options, inputs, outputs)
