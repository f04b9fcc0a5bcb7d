"""The steps of a model in PyTorch, by canonical layer, with which a wrong file is compared."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from assay.export.localise.source import ComputationStep, ExactComputation
from assay.export.routes.request import Images
from assay.spec import ModelSpec
from assay.train.models import on_torch
from assay.train.weights import load_weights

LONGEST_ARGUMENT = 40


def follow(spec: ModelSpec, weights_file: Path, images: Images) -> ExactComputation:
    """Record every function call of the forward pass in float64, in the order of the calls.

    Each value is named by its canonical layer (`assay.train.architectures`) and the function, "stage1.unit1.norm:
    batch_norm". Functions that PyTorch calls inside others are not recorded.

    Args:
        images: normalised float32 (images, height, width, channels).
    """
    model = on_torch.load(spec, load_weights(weights_file), "float64")
    start = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2))).double()
    recorder = FunctionRecorder(start)
    hooks = [handle for name, module in model.named_modules() for handle in recorder.watch(name, module)]
    with torch.inference_mode(), recorder:
        model(start)
    for hook in hooks:
        hook.remove()
    return ExactComputation(recorder.values, frozenset(), tuple(recorder.steps))


class FunctionRecorder(TorchFunctionMode):
    """Keeps every tensor that a function returns, and the tensors it was made from."""

    def __init__(self, start: Tensor) -> None:
        super().__init__()
        self.steps: list[ComputationStep] = []
        self.values: dict[str, np.ndarray] = {"image": start.numpy()}
        self._names: dict[int, str] = {id(start): "image"}
        self._kept: list[Tensor] = [start]  # keeps the identity from being given to another tensor
        self._layers: list[str] = []

    def watch(self, name: str, module: nn.Module) -> Iterable[torch.utils.hooks.RemovableHandle]:
        """Install hooks that tell when a layer begins and ends."""

        def begin(*_: object) -> None:
            self._layers.append(name)

        def end(*_: object) -> None:
            self._layers.pop()

        return module.register_forward_pre_hook(begin), module.register_forward_hook(end)

    def __torch_function__(
        self,
        func: Callable[..., object],
        types: Iterable[type],
        args: tuple[object, ...] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        del types
        found = func(*args, **(kwargs or {}))
        if isinstance(found, Tensor) and id(found) not in self._names:
            self._record(getattr(func, "__name__", str(func)).strip("_"), found, args, kwargs or {})
        return found

    def _record(self, function: str, found: Tensor, args: Iterable[object], kwargs: Mapping[str, object]) -> None:
        inputs = [self._names[id(one)] for one in (*args, *kwargs.values()) if id(one) in self._names]
        if not inputs:  # a rearranged weight, which does not depend on the image
            return
        layer = self._layers[-1] if self._layers else ""
        name = f"{layer or 'model'}: {function}"
        name = name if name not in self.values else f"{name} {len(self.steps)}"
        told = [str(one)[:LONGEST_ARGUMENT] for one in args if not isinstance(one, Tensor) and one is not None]
        told += [f"{key}={str(one)[:LONGEST_ARGUMENT]}" for key, one in kwargs.items() if not isinstance(one, Tensor)]
        self.steps.append(ComputationStep(f"{function}({', '.join(told)})", tuple(inputs), (name,), layer))
        self.values[name] = found.numpy()
        self._names[id(found)] = name
        self._kept.append(found)
