"""A user's PyTorch model: a TorchScript file, a torch.export file, or a function that returns a module."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from assay.errors import ArtifactError, AssayError, InputError
from assay.user.loaded import Array, Compute, Loaded, keys_of, named
from assay.user.model import Declared, Location
from assay.user.on_torch_archive import load_checked_program, load_checked_script
from assay.user.on_torch_double import float64_throughout
from assay.user.source import built, explained

Outputs = dict[str, Tensor]
Forward = Callable[[Sequence[Tensor]], Outputs]


def load(location: Location) -> Loaded:
    """
    Raises:
        ArtifactError: the file is not what its ending says.
        InputError: the function fails, or gives no module.
    """
    module = load_module(location)
    declared = _declared(load_program(location)) if location.form == "program" else ()
    return Loaded(
        declared, _compute(module, location), lambda: _double(module, location), per_call=lambda: _per_call(module)
    )


def load_module(location: Location) -> nn.Module:
    """The module, in evaluation mode and without gradients; same errors as `load`."""
    if location.form == "function":
        module = built(location.path, location.function)
        if not isinstance(module, nn.Module):
            raise InputError(f"{location} gives no model", expected="a torch.nn.Module", found=type(module).__name__)
        module.eval()
    elif location.form == "program":
        module = load_program(location).module()  # it is in evaluation mode, and refuses to be told
    else:
        module = _load_script(location)
        module.eval()
    for parameter in module.parameters():  # TorchScript has no requires_grad_ of its own
        parameter.requires_grad_(False)
    return module


def load_program(location: Location) -> torch.export.ExportedProgram:
    """
    Raises:
        ArtifactError: it is no file of torch.export, or has a member that could run code.
    """
    try:
        return load_checked_program(location.path)
    except AssayError:
        raise
    except Exception as error:  # whatever its reader raises
        raise ArtifactError(
            f"{location} cannot be loaded", expected="a file written by torch.export.save", found=_line(error)
        ) from error


def _load_script(location: Location) -> torch.jit.ScriptModule:
    """
    Raises:
        ArtifactError: it is no TorchScript file, or has code that acts on files.
    """
    try:
        return load_checked_script(location.path)
    except AssayError:
        raise
    except Exception as error:  # whatever its reader raises
        raise ArtifactError(
            f"{location} cannot be loaded",
            expected="a TorchScript file, written by torch.jit.save",
            found=_line(error),
            remedy="What torch.save wrote is a pickle of code, which is not run: give FILE.py:FUNCTION",
        ) from error


def _declared(program: torch.export.ExportedProgram) -> tuple[Declared, ...]:
    """The inputs of a program; a symbolic dimension keeps its name."""
    values = {node.name: node.meta.get("val") for node in program.graph.nodes if node.op == "placeholder"}
    found = []
    for name in program.graph_signature.user_inputs:
        value = values.get(str(name))
        if not isinstance(value, Tensor):
            raise InputError("An input of the program is no tensor", found=str(name))
        shape = tuple(size if isinstance(size, int) else f"{size}" for size in value.shape)
        found.append(Declared(name=str(name), dtype=str(value.dtype).removeprefix("torch."), shape=shape))
    return tuple(found)


def forward_of(module: Callable[..., object], location: Location) -> Forward:
    """The module as a function from tensors to named tensors."""

    def forward(inputs: Sequence[Tensor]) -> Outputs:
        with torch.inference_mode():
            outputs = module(*inputs)
        leaves = pytree.tree_leaves(outputs)
        wrong = [type(leaf).__name__ for leaf in leaves if not isinstance(leaf, Tensor)]
        if wrong:
            raise InputError(f"{location} returns something else than tensors", found=", ".join(sorted(set(wrong))))
        return named(leaves, keys_of(outputs))

    return forward


def _compute(module: nn.Module, location: Location) -> Compute:
    forward = forward_of(module, location)

    def compute(inputs: Sequence[Array]) -> dict[str, Array]:
        with explained(location.path, f"{location.name}(...)"):
            outputs = forward([torch.from_numpy(np.array(one)) for one in inputs])
            return {name: value.numpy() for name, value in outputs.items()}

    return compute


def _double(module: nn.Module, location: Location) -> Compute:
    """The module with parameters, inputs and everything that is computed of them in float64."""
    compute = _compute(module.double(), location)

    def double(inputs: Sequence[Array]) -> dict[str, Array]:
        with float64_throughout():
            return compute([one.astype(np.float64) if one.dtype.kind == "f" else one for one in inputs])

    return double


def _per_call(module: nn.Module) -> str:
    """Its dynamically quantised layers, by class."""
    kinds = {type(one).__name__ for one in module.modules() if ".quantized.dynamic." in f"{type(one).__module__}."}
    return ", ".join(sorted(kinds))


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
