"""A PyTorch module called by the names of its inputs, with its outputs by name, including while it is traced."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from inspect import Parameter
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from assay.train.brought.binding import Binding, Binds, binding_of, parameters_of
from assay.train.brought.outputs import Children, kept_outputs, named_outputs

Outputs = dict[str, Tensor]
BF16 = torch.bfloat16
Forward = Callable[[Sequence[Tensor]], Outputs]


def forward_of(module: Callable[..., object], binding: Binds, without: Sequence[str], what: str) -> Forward:
    """Return a function from tensors, in the order of their names, to tensors by name, without gradients.

    Args:
        without: outputs to leave out.
        what: description of the model, for messages.

    Calling it raises InputError where an output is not a tensor.
    """

    def forward(inputs: Sequence[Tensor]) -> Outputs:
        with torch.inference_mode():
            outputs = binding.call(module, inputs)
            return _without_bf16(kept_outputs(_named(outputs), _is_tensor, without, what))

    return forward


def module_binding(module: Callable[..., object], names: Sequence[str], what: str) -> Binding:
    """Return how inputs of these names are passed to a module.

    Raises:
        InputError: a name is not an argument of its `forward`.
    """
    return binding_of(_parameters(module), names, what)


@dataclass(frozen=True)
class PreparedInputs:
    """Inputs passed on by another binding, some of them in bf16 or copied.

    Attributes:
        cast: places of the inputs that are cast to bf16.
        copied: places of those that the model writes to, so that it gets a copy.
    """

    binding: Binds
    cast: frozenset[int]
    copied: frozenset[int]
    is_plain: bool = False

    def call(self, function: Callable[..., Any], inputs: Sequence[Any]) -> Any:
        """Call the function with inputs that come in the order of their names."""
        return self.binding.call(function, [self._prepared(place, one) for place, one in enumerate(inputs)])

    def _prepared(self, place: int, one: Any) -> Any:
        if place in self.cast:
            return one.to(BF16)
        return one.clone() if place in self.copied else one


class OfFunction(nn.Module):  # type: ignore[misc, unused-ignore]
    """A function of tensors as a module, since exporters take nothing else."""

    def __init__(self, function: Callable[..., object]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: Tensor, **named: Tensor) -> object:
        return self.function(*inputs, **named)


def traceable(module: nn.Module, binding: Binds, without: Sequence[str], example: Sequence[Tensor]) -> nn.Module:
    """Return a module that can be traced and that takes and returns tensors by position: the module itself if it
    already does.
    """
    with torch.no_grad():  # what a module keeps of its first call would be of no use outside inference mode
        outputs = binding.call(module, example)
    flat = [outputs] if isinstance(outputs, Tensor) else outputs
    plain = type(flat) in (list, tuple) and all(isinstance(one, Tensor) and one.dtype != BF16 for one in flat)
    plain = plain and binding.is_plain and not without and not _takes_any_number(module)
    return module if plain else ByPosition(module, binding, without)


def _takes_any_number(module: nn.Module) -> bool:
    """Return whether a module takes *arguments, which torch.export sees as one argument."""
    return any(one.kind is Parameter.VAR_POSITIONAL for one in parameters_of(module.forward) or ())


class ByPosition(nn.Module):  # type: ignore[misc, unused-ignore]
    """A module with its inputs bound to their arguments, and its outputs flattened."""

    def __init__(self, model: nn.Module, binding: Binds, without: Sequence[str]) -> None:
        super().__init__()
        self.model, self._binding, self._without = model, binding, tuple(without)
        self.training = False

    def forward(self, *inputs: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Return the outputs, in their order; a tensor alone where there is one."""
        outputs = _named(self._binding.call(self.model, inputs))
        kept = tuple(_without_bf16({name: one for name, one in outputs.items() if name not in self._without}).values())
        return kept[0] if len(kept) == 1 else kept


def _parameters(module: Callable[..., object]) -> list[Parameter] | None:
    """Return the arguments of `forward`, which TorchScript keeps in a schema."""
    if isinstance(module, torch.jit.ScriptModule):
        arguments = list(module.forward.schema.arguments)[1:]
        kinds = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
        return [
            Parameter(
                one.name,
                kinds[one.kwarg_only],
                default=one.default_value if one.has_default_value() else Parameter.empty,
                annotation=str(one.type),
            )
            for one in arguments
        ]
    if isinstance(module, OfFunction):
        return parameters_of(module.function)
    return parameters_of(module.forward if isinstance(module, nn.Module) else module)


def _without_bf16(outputs: Outputs) -> Outputs:
    """Return outputs with those in bf16 as float32, which holds the same numbers: numpy has no bf16."""
    return {name: one.float() if one.dtype == BF16 else one for name, one in outputs.items()}


def _is_tensor(value: object) -> bool:
    return isinstance(value, Tensor)


def _named(outputs: object) -> dict[str, Any]:
    return named_outputs(outputs, _is_tensor, opener=_children)


def _children(value: object) -> Children | None:
    """Return the content of a container that only PyTorch knows, such as a registered class."""
    found, structure = pytree.tree_flatten_with_path(value, is_leaf=lambda one: one is not value)
    if structure.is_leaf():
        return None
    return [(pytree.keystr(path).strip(".[]'\""), child) for path, child in found]
