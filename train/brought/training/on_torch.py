"""The layers of a PyTorch model that compute as in training, by its modules and by the operators of one call."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

LAYERS = (_BatchNorm, _DropoutNd)
CALLED = re.compile(r"\w+::(\w*(?:batch_norm|dropout|rrelu)\w*)\((?:.*, )?(train|training)(?:, .*)?\)")
"""An operator in the form of `assay.train.brought.narrow.on_torch`, whose switch for training is on."""


def layers_in_training(module: nn.Module, kernels: Iterable[str]) -> tuple[str, ...]:
    """Return the layers of a module in evaluation mode that compute as in training; without any, the operators that
    were called so.

    Args:
        kernels: the operators of one call, as `NarrowSeen.kernels` has them.
    """
    called = [found for one in sorted(kernels) if (found := CALLED.fullmatch(one))]
    if not called:
        return ()
    return tuple(_layers(module)) or tuple(f"{found[1]}({found[2]}=True)" for found in called)


def layers_switched(module: nn.Module) -> tuple[str, ...]:
    """Return the layers that compute otherwise once the module is in evaluation mode."""
    return tuple(_named(name, one) for name, one in module.named_modules() if isinstance(one, LAYERS) and one.training)


def _layers(module: nn.Module) -> Iterator[str]:
    for name, one in module.named_modules():
        if isinstance(one, _BatchNorm) and one.running_mean is None:
            yield _named(name, one, ", track_running_stats=False")
        elif isinstance(one, LAYERS) and one.training:
            yield _named(name, one)


def _named(name: str, layer: nn.Module, more: str = "") -> str:
    return f"{name or 'itself'} ({type(layer).__name__}{more})"
