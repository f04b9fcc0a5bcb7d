"""The operators as PyTorch models in a user's file, which every runtime of PyTorch loads like any other.

Each function returns a module that takes images with their channels first, (1, channels, height, width).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from assay.bench.auditing.operators.special_job import kernel


class _Operator(nn.Module):
    """A convolution, if wanted, and what follows it."""

    def __init__(self, *following: nn.Module, bias: bool | None = None) -> None:
        super().__init__()
        layers = [] if bias is None else [_convolution(bias=bias)]
        self.layers = nn.Sequential(*layers, *following)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


def _convolution(*, bias: bool) -> nn.Conv2d:
    weights = torch.from_numpy(kernel()).permute(3, 2, 0, 1).contiguous()
    made = nn.Conv2d(*reversed(weights.shape[:2]), 3, padding=1, bias=bias)
    made.weight = nn.Parameter(weights)
    if made.bias is not None:
        nn.init.ones_(made.bias)
    return made


def relu() -> nn.Module:
    return _Operator(nn.ReLU())


def pool() -> nn.Module:
    return _Operator(nn.MaxPool2d(2))


def fused() -> nn.Module:
    return _Operator(nn.ReLU(), bias=True)


def mean() -> nn.Module:
    return _Operator(nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), bias=False)
