"""A user's PyTorch model: a TorchScript file, a torch.export file, or a function that returns a module."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from assay.errors import ArtifactError, AssayError, InputError
from assay.foreign import said_by
from assay.train.brought.binding import Binds
from assay.train.brought.double.on_torch import float64_throughout, widen_weights
from assay.train.brought.files.on_torch_archive import load_checked_program, load_checked_script
from assay.train.brought.files.on_torch_program import binding_of_program, declared_of
from assay.train.brought.libraries.made import MadeModel, made
from assay.train.brought.loaders.loaded import Array, Called, Compute, Lines, LoadedModel, Unordered
from assay.train.brought.model import Location, UserModel
from assay.train.brought.named.on_torch import Forward, OfFunction, PreparedInputs, forward_of, module_binding
from assay.train.brought.narrow.on_torch import narrow_arithmetic
from assay.train.brought.outputs import incomparable
from assay.train.brought.source import explained
from assay.train.brought.training.on_torch import layers_in_training, layers_switched
from assay.train.brought.training.words import few

MADE = ("function", "named")
"""Forms of a model that is made, and not read."""


def load(location: Location) -> LoadedModel:
    """
    Raises:
        ArtifactError: the file is not what its extension says.
        InputError: the function fails, or returns no module.
    """
    found = made(location) if location.form in MADE else None
    switched = _left_in_training(location, found)
    module = load_module(location, found)
    program = load_program(location) if location.form == "program" else None
    written, wrapper = set[str](), _unwrapped(found.model)[1] if found else ""

    def called(names: Sequence[str], without: Sequence[str], narrow: Sequence[str] = ()) -> Called:
        binding = _binding(module, program, location, names, narrow)
        forward = _noting(forward_of(module, binding, without, str(location)), names, written)
        return _compute(forward, location), lambda: _double(module, forward, location)

    declared = () if program is None else declared_of(program)
    kernels, drawing, unordered = set[str](), set[str](), set[Unordered]()
    in_lines = dict[str, Lines]()

    def narrow(
        names: Sequence[str], inputs: Sequence[Array], without: Sequence[str] = (), cast: Sequence[str] = ()
    ) -> str:
        compute, _ = called(names, without, cast)
        with narrow_arithmetic() as seen:
            outputs = compute(inputs)
        kernels.update(seen.kernels)
        drawing.update(seen.drawing)
        unordered.update(one for one, _ in seen.unordered)
        in_lines.update(_in_lines(seen.unordered, outputs))
        return seen.narrowest

    def training(
        names: Sequence[str], inputs: Sequence[Array], without: Sequence[str] = (), cast: Sequence[str] = ()
    ) -> tuple[str, ...]:
        compute, _ = called(names, without, cast)
        with narrow_arithmetic() as seen:
            compute(inputs)
        return layers_in_training(module, seen.kernels)

    return LoadedModel(
        declared,
        called,
        made=found,
        per_call=lambda: _per_call(module),
        narrow=narrow,
        kernels=lambda: tuple(sorted(kernels)),
        drawing=lambda: tuple(sorted(drawing)),
        unordered=lambda: tuple(unordered),
        in_lines=lambda: in_lines,
        written=lambda: tuple(sorted(written)),
        training=training,
        told=[*([f"{wrapper} is removed: the model inside it is exported and timed."] if wrapper else []), *switched],
    )


def _left_in_training(location: Location, found: MadeModel | None) -> list[str]:
    """Return a sentence on a module that a user's function left in training mode, if some layer computes otherwise
    there.
    """
    module = _unwrapped(found.model)[0] if found and location.form == "function" else None
    layers = layers_switched(module) if isinstance(module, nn.Module) else ()
    if not layers:
        return []
    return [f"Its function returns it in training mode: eval() is called, which changes {few(layers)}."]


def _in_lines(
    unordered: Sequence[tuple[Unordered, Sequence[Tensor]]], outputs: Mapping[str, Array]
) -> Iterator[tuple[str, Lines]]:
    """Yield the outputs that are results of an operator without a defined order, where its values are the first, or one
    is the only one.
    """
    for call, (one, results) in enumerate(unordered):
        known = [(result.data_ptr(), tuple(result.shape)) for result in results if result.numel()]
        found = {name: at for name, array in outputs.items() if (at := (array.ctypes.data, array.shape)) in known}
        if one.lines and (len(found) == 1 or known[:1] == list(found.values())[:1]):
            yield from ((name, Lines(call, one.axis % len(shape))) for name, (_, shape) in found.items() if shape)


def _noting(forward: Forward, names: Sequence[str], written: set[str]) -> Forward:
    """Return the same function, noting the names of the inputs that it writes to: PyTorch counts the changes of each
    tensor.
    """

    def noting(inputs: Sequence[Tensor]) -> dict[str, Tensor]:
        counted = {name: one for name, one in zip(names, inputs, strict=True) if not one.is_inference()}
        before = {name: one._version for name, one in counted.items()}
        outputs = forward(inputs)
        written.update(name for name, one in counted.items() if one._version != before[name])
        return outputs

    return noting


def load_bound(model: UserModel) -> tuple[nn.Module, Binds]:
    """Return the module, and how the model's inputs are passed to it; same errors as `load`."""
    location = model.location
    module = load_module(location)
    program = load_program(location) if location.form == "program" else None
    return module, _binding(module, program, location, [one.name for one in model.inputs], model.narrow, model.written)


def _binding(
    module: nn.Module,
    program: torch.export.ExportedProgram | None,
    location: Location,
    names: Sequence[str],
    narrow: Sequence[str],
    written: Sequence[str] = (),
) -> Binds:
    found = module_binding(module, names, str(location)) if program is None else binding_of_program(program, names)
    if not narrow and not written:
        return found
    return PreparedInputs(found, frozenset(map(names.index, narrow)), frozenset(map(names.index, written)))


def load_module(location: Location, found: MadeModel | None = None) -> nn.Module:
    """Return the module, in evaluation mode and without gradients; same errors as `load`.

    Args:
        found: the object that a function or a library made, where that has been done already.
    """
    if location.form in MADE:
        module, _ = _unwrapped((found or made(location)).model)
        if not isinstance(module, nn.Module):
            if not callable(module) or isinstance(module, type):
                raise InputError(
                    f"{location} does not give a model",
                    expected="a torch.nn.Module or a function of tensors",
                    found=type(module).__name__,
                )
            module = OfFunction(module)
        module.eval()
    elif location.form == "program":
        module = load_program(location).module()  # it is in evaluation mode, and refuses to be told so
    else:
        module = _load_script(location)
        module.eval()
    for parameter in module.parameters():  # TorchScript has no requires_grad_ of its own
        if not is_lazy(parameter):  # the first call makes it
            parameter.requires_grad_(False)
    return module


def _unwrapped(module: object) -> tuple[object, str]:
    """Return the module that torch.compile or DataParallel has wrapped, and the name of the wrapper; the object itself
    and "" where there is none. Exporters do not take it, and compiling is a runtime of its own.
    """
    if isinstance(module, nn.DataParallel):
        return module.module, "DataParallel"
    inner = getattr(module, "_orig_mod", None) or getattr(module, "_torchdynamo_orig_callable", None)
    return (module, "") if inner is None else (inner, "torch.compile()")


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
