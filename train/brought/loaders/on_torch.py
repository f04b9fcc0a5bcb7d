"""A user's PyTorch model: a TorchScript file, a torch.export file, or a function that returns a module."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from assay.errors import ArtifactError, AssayError, InputError
from assay.foreign import said_by
from assay.train.brought.binding import Binds
from assay.train.brought.double.on_torch import float64_throughout, widen_weights
from assay.train.brought.files.on_torch_archive import load_checked_program, load_checked_script
from assay.train.brought.files.on_torch_program import binding_of_program, declared_of
from assay.train.brought.libraries.made import MadeModel, made
from assay.train.brought.loaders.loaded import Array, Called, Compute, LoadedModel, Unordered
from assay.train.brought.model import Location, UserModel
from assay.train.brought.named.on_torch import Forward, InBf16, forward_of, module_binding
from assay.train.brought.narrow.on_torch import narrow_arithmetic
from assay.train.brought.outputs import incomparable
from assay.train.brought.source import explained

MADE = ("function", "named")
"""Forms of a model that is made, and not read."""


def load(location: Location) -> LoadedModel:
    """
    Raises:
        ArtifactError: the file is not what its extension says.
        InputError: the function fails, or returns no module.
    """
    found = made(location) if location.form in MADE else None
    module = load_module(location, found)
    program = load_program(location) if location.form == "program" else None

    def called(names: Sequence[str], without: Sequence[str], narrow: Sequence[str] = ()) -> Called:
        binding = _binding(module, program, location, names, narrow)
        forward = forward_of(module, binding, without, str(location))
        return _compute(forward, location), lambda: _double(module, forward, location)

    declared = () if program is None else declared_of(program)
    kernels, drawing, unordered = set[str](), set[str](), set[Unordered]()

    def narrow(
        names: Sequence[str], inputs: Sequence[Array], without: Sequence[str] = (), cast: Sequence[str] = ()
    ) -> str:
        compute, _ = called(names, without, cast)
        with narrow_arithmetic() as seen:
            compute(inputs)
        kernels.update(seen.kernels)
        drawing.update(seen.drawing)
        unordered.update(seen.unordered)
        return seen.narrowest

    return LoadedModel(
        declared,
        called,
        made=found,
        per_call=lambda: _per_call(module),
        narrow=narrow,
        kernels=lambda: tuple(sorted(kernels)),
        drawing=lambda: tuple(sorted(drawing)),
        unordered=lambda: tuple(unordered),
    )


def load_bound(model: UserModel) -> tuple[nn.Module, Binds]:
    """Return the module, and how the model's inputs are passed to it; same errors as `load`."""
    location = model.location
    module = load_module(location)
    program = load_program(location) if location.form == "program" else None
    return module, _binding(module, program, location, [one.name for one in model.inputs], model.narrow)


def _binding(
    module: nn.Module,
    program: torch.export.ExportedProgram | None,
    location: Location,
    names: Sequence[str],
    narrow: Sequence[str],
) -> Binds:
    found = module_binding(module, names, str(location)) if program is None else binding_of_program(program, names)
    return InBf16(found, frozenset(names.index(name) for name in narrow)) if narrow else found


def load_module(location: Location, found: MadeModel | None = None) -> nn.Module:
    """Return the module, in evaluation mode and without gradients; same errors as `load`.

    Args:
        found: the object that a function or a library made, where that has been done already.
    """
    if location.form in MADE:
        module = (found or made(location)).model
        if not isinstance(module, nn.Module):
            raise InputError(
                f"{location} does not give a model", expected="a torch.nn.Module", found=type(module).__name__
            )
        module.eval()
    elif location.form == "program":
        module = load_program(location).module()  # it is in evaluation mode, and refuses to be told so
    else:
        module = _load_script(location)
        module.eval()
    for parameter in module.parameters():  # TorchScript has no requires_grad_ of its own
        parameter.requires_grad_(False)
    return module


def load_program(location: Location) -> torch.export.ExportedProgram:
    """
    Raises:
        ArtifactError: it is not a file of torch.export, or has a member that could run code.
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
        ArtifactError: it is not a TorchScript file, or has code that acts on files.
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
            remedy="torch.save writes a pickle with code, which is not run: give FILE.py:FUNCTION",
        ) from error


def _compute(forward: Forward, location: Location) -> Compute:
    def compute(inputs: Sequence[Array]) -> dict[str, Array]:
        with explained(location.path, f"{location.name}(...)"):
            outputs = forward([torch.from_numpy(np.array(one)) for one in inputs])
        return _arrays(outputs, location)

    return compute


def _double(module: nn.Module, forward: Forward, location: Location) -> Compute:
    """Return the module with parameters, inputs and all results in float64."""
    widen_weights(module)
    module.double()
    compute = _compute(forward, location)

    def double(inputs: Sequence[Array]) -> dict[str, Array]:
        with float64_throughout():
            return compute([one.astype(np.float64) if one.dtype.kind == "f" else one for one in inputs])

    return double


def _arrays(outputs: Mapping[str, Tensor], location: Location) -> dict[str, Array]:
    """
    Raises:
        IncomparableError: numpy has no such tensors, as for sparse ones.
    """
    found, wrong = dict[str, Array](), dict[str, str]()
    for name, value in outputs.items():
        try:
            found[name] = value.numpy()
        except (TypeError, RuntimeError):
            wrong[name] = f"a {str(value.layout).removeprefix('torch.')} tensor of {_plain(value.dtype)}"
    if wrong:
        raise incomparable(wrong, outputs, str(location), "Return it as a dense tensor of float32")
    return found


def _plain(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _per_call(module: nn.Module) -> str:
    """Return its dynamically quantised layers, by class."""
    kinds = {type(one).__name__ for one in module.modules() if ".quantized.dynamic." in f"{type(one).__module__}."}
    return ", ".join(sorted(kinds))


def _line(error: Exception) -> str:
    return said_by(error) or type(error).__name__
