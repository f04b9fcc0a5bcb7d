"""Single operators in PyTorch, to see how they treat NaN."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  the name everyone uses
from torch import Tensor

from assay.bench.auditing.operators.special_job import FUSED, MEAN, POOL, RELU, SHAPE, Operator, kernel

Function = Callable[[Tensor], Tensor]


def eager(runtime: str) -> dict[str, Operator]:
    del runtime
    return _operators(lambda function: function, torch.contiguous_format)


def channels_last(runtime: str) -> dict[str, Operator]:
    del runtime
    return _operators(lambda function: function, torch.channels_last)


def script(runtime: str) -> dict[str, Operator]:
    del runtime
    height, width, channels = SHAPE[1:]
    example = torch.zeros(2, channels, height, width)
    return _operators(lambda function: torch.jit.trace(function, example), torch.contiguous_format)


def compiled(runtime: str) -> dict[str, Operator]:
    del runtime
    return _operators(lambda function: torch.compile(function, dynamic=False), torch.contiguous_format)


def _operators(prepared: Callable[[Function], Function], layout: torch.memory_format) -> dict[str, Operator]:
    """Return the operators, each prepared as a runtime prepares a model."""
    weights = torch.from_numpy(kernel()).permute(3, 2, 0, 1).contiguous()
    bias = torch.ones(SHAPE[-1])
    functions: dict[str, Function] = {
        RELU: F.relu,
        POOL: lambda x: F.max_pool2d(x, 2),
        FUSED: lambda x: F.relu(F.conv2d(x, weights, bias, padding=1)),
        MEAN: lambda x: F.relu(F.conv2d(x, weights, padding=1)).mean((2, 3)),
    }
    return {name: _run(prepared(function), layout) for name, function in functions.items()}


def _run(function: Function, layout: torch.memory_format) -> Operator:
    def run(images: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            tensor = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(memory_format=layout)
            return function(tensor).numpy()

    return run
