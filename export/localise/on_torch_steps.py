"""The steps of a user's PyTorch model, operator by operator and in float64 where that is possible."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.hooks import RemovableHandle

from assay.export.localise.source import ComputationStep, ExactComputation, Followed
from assay.train.brought.double.on_torch import float64_throughout
from assay.train.brought.loaders.loaded import Array
from assay.train.brought.loaders.on_torch import load_bound
from assay.train.brought.model import UserModel
from assay.train.brought.named.on_torch import forward_of

LONGEST_ARGUMENT = 40
MOVES_NOTHING = {"aten::detach", "aten::alias", "aten::lift_fresh", "aten::_to_copy"}


def follow(model: UserModel, inputs: Sequence[Array], *, double: bool) -> Followed:
    """Record every operator that reaches a kernel in one call, naming each value by its module and the operator.

    Args:
        inputs: inputs in the model's order.
        double: whether to widen the parameters, the inputs and all results; else the model computes as it is.

    Raises:
        AssayError: the user's code fails, or reads the bits of a number in float64.
    """
    module, binding = load_bound(model)
    module = module.double() if double else module
    tensors = [_tensor(one, double=double) for one in inputs]
    recorder = _OperatorRecorder(dict(zip((one.name for one in model.inputs), tensors, strict=True)))
    with float64_throughout() if double else nullcontext(), _watched(module, recorder), recorder:
        outputs = forward_of(module, binding, model.without, str(model.location))(tensors)
    source = ExactComputation(recorder.values, frozenset(), tuple(recorder.steps))
    return Followed(source, {name: _array(value) for name, value in outputs.items()})


def _tensor(array: Array, *, double: bool) -> Tensor:
    wide = array.astype("float64") if double and array.dtype.kind == "f" else array
    return torch.from_numpy(wide.copy())


@contextmanager
def _watched(module: nn.Module, recorder: _OperatorRecorder) -> Iterator[None]:
    """Tell the recorder when each module begins and ends; the inside of TorchScript does not show that."""
    handles: list[RemovableHandle] = []
    if not isinstance(module, torch.jit.ScriptModule):
        for name, one in module.named_modules():
            handles += recorder.watch(name, one)
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


class _OperatorRecorder(TorchDispatchMode):  # type: ignore[misc, unused-ignore]
    """Keeps a copy of every tensor that an operator returns, and the tensors it was made from."""

    def __init__(self, inputs: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.steps: list[ComputationStep] = []
        self.values: dict[str, Array] = {name: one.numpy().copy() for name, one in inputs.items()}
        self.layers: list[str] = []
        self._names: dict[int, str] = {id(one): name for name, one in inputs.items()}
        self._kept: list[Tensor] = list(inputs.values())  # keeps the identity from being given to another tensor

    def watch(self, layer: str, module: nn.Module) -> tuple[RemovableHandle, RemovableHandle]:
        """Install hooks that tell when a module begins and ends."""

        def begin(*_: object) -> None:
            self.layers.append(layer)

        def end(*_: object) -> None:
            self.layers.pop()

        return module.register_forward_pre_hook(begin), module.register_forward_hook(end)

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: tuple[object, ...] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        del types
        taken = [self._names[id(one)] for one in _tensors((args, kwargs)) if id(one) in self._names]
        found = func(*args, **(kwargs or {}))
        if taken:  # else a rearranged weight, which does not depend on the inputs
            for one in _tensors(found):
                self._record(func, one, tuple(dict.fromkeys(taken)), (*args, *(kwargs or {}).items()))
        return found

    def _record(self, func: Any, found: Tensor, taken: tuple[str, ...], arguments: Sequence[object]) -> None:
        is_floating = all(self.values[name].dtype.kind == "f" for name in taken[:1]) and found.is_floating_point()
        if func.name().partition(".")[0] in MOVES_NOTHING and is_floating and id(found) not in self._names:
            self._names[id(found)] = taken[0]
            self._kept.append(found)
            return
        operator = func.name().removeprefix("aten::").partition(".")[0]
        layer = self.layers[-1] if self.layers else ""
        name = f"{layer or 'model'}: {operator}"
        name = name if name not in self.values else f"{name} {len(self.steps)}"
        told = [str(one)[:LONGEST_ARGUMENT] for one in arguments if not _tensors(one) and one is not None]
        self.steps.append(ComputationStep(f"{operator}({', '.join(told)})", taken, (name,), layer))
        self.values[name] = _array(found)
        self._names[id(found)] = name
        self._kept.append(found)


def _array(tensor: Tensor) -> Array:
    """Return a copy of the numbers in numpy, which has no bfloat16; complex values are compared as real numbers."""
    plain = tensor.detach().cpu()
    plain = plain.dequantize() if plain.is_quantized else plain
    plain = torch.view_as_real(plain) if plain.is_complex() else plain
    plain = plain.float() if plain.dtype == torch.bfloat16 else plain
    found: Array = plain.numpy().copy()
    return found


def _tensors(values: object) -> list[Tensor]:
    return [one for one in pytree.tree_leaves(values) if isinstance(one, Tensor)]
