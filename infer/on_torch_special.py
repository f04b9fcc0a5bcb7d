"""Single operators in PyTorch, to see what they do with NaN."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  the name everyone uses
from torch import Tensor

from assay.errors import InputError
from infer.special_job import FUSED, MEAN, POOL, RELU, SHAPE, Operator, kernel

Function = Callable[[Tensor], Tensor]


def operators(runtime: str) -> dict[str, Operator]:
    """The operators as this runtime runs them.

    Raises:
        InputError: the runtime is none of PyTorch's own.
    """
    weights = torch.from_numpy(kernel()).permute(3, 2, 0, 1).contiguous()
    bias = torch.ones(SHAPE[-1])
    functions: dict[str, Function] = {
        RELU: F.relu,
        POOL: lambda x: F.max_pool2d(x, 2),
        FUSED: lambda x: F.relu(F.conv2d(x, weights, bias, padding=1)),
        MEAN: lambda x: F.relu(F.conv2d(x, weights, padding=1)).mean((2, 3)),
    }
    return {name: _as_run_by(runtime, function) for name, function in functions.items()}


def _as_run_by(runtime: str, function: Function) -> Operator:
    height, width, channels = SHAPE[1:]
    layout = torch.channels_last if runtime == "torch.channels_last" else torch.contiguous_format
    made: dict[str, Callable[[], Function]] = {
        "torch.eager": lambda: function,
        "torch.channels_last": lambda: function,
        "torch.script": lambda: torch.jit.trace(function, torch.zeros(2, channels, height, width)),
        "torch.compile": lambda: torch.compile(function, dynamic=False),
    }
    if runtime not in made:
        raise InputError(f"The operators of {runtime} cannot be looked at one by one")
    prepared = made[runtime]()

    def run(images: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            tensor = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(memory_format=layout)
            return prepared(tensor).numpy()

    return run
