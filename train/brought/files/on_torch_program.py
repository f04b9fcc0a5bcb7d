"""The inputs that a program of torch.export declares, and their passing in the containers it was exported with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.export import ExportedProgram
from torch.export.graph_signature import ConstantArgument, InputKind
from torch.utils import _pytree as pytree

from assay.errors import InputError
from assay.train.brought.binding import Binds, by_position
from assay.train.brought.model import Declared


def declared_of(program: ExportedProgram) -> tuple[Declared, ...]:
    """Return the inputs of a program; a symbolic dimension keeps its name, and an input that was None at export is left
    out.

    Raises:
        InputError: an input is not a tensor.
    """
    values = {node.name: node.meta.get("val") for node in program.graph.nodes if node.op == "placeholder"}
    found = []
    for argument in _arguments(program):
        if isinstance(argument, ConstantArgument):
            continue
        value = values.get(argument.name)
        if not isinstance(value, Tensor):
            raise InputError("An input of the program is not a tensor", found=str(argument.name))
        shape = tuple(size if isinstance(size, int) else f"{size}" for size in value.shape)
        found.append(Declared(name=argument.name, dtype=str(value.dtype).removeprefix("torch."), shape=shape))
    return tuple(found)


@dataclass(frozen=True)
class ProgramBinding:
    """Inputs put back into the arguments, dictionaries and lists that a program was exported with.

    Attributes:
        structure: structure of (arguments, arguments by name).
        leaves: leaves of the structure: the place of an input, or None and the constant.
    """

    structure: Any
    leaves: tuple[tuple[int | None, object], ...]
    is_plain: bool = False

    def call(self, function: Callable[..., Any], inputs: Sequence[object]) -> Any:
        """Call the program's module with inputs in the order of their names."""
        flat = [constant if place is None else inputs[place] for place, constant in self.leaves]
        arguments, named = pytree.tree_unflatten(flat, self.structure)
        return function(*arguments, **named)


def binding_of_program(program: ExportedProgram, names: Sequence[str]) -> Binds:
    """Return how inputs of these names, all that the program has, are passed."""
    leaves = tuple(
        (None, one.value) if isinstance(one, ConstantArgument) else (names.index(one.name), None)
        for one in _arguments(program)
    )
    structure = program.call_spec.in_spec
    arguments, named = structure.children() if hasattr(structure, "children") else structure.children_specs
    plain = arguments.num_leaves == arguments.num_children == len(leaves) and not named.num_leaves
    if plain and [place for place, _ in leaves] == list(range(len(names))):
        return by_position(len(names))
    return ProgramBinding(structure, leaves)


def _arguments(program: ExportedProgram) -> list[Any]:
    specs = program.graph_signature.input_specs
    return [one.arg for one in specs if one.kind == InputKind.USER_INPUT]
