"""A live PyTorch model as a file: a program of `torch.export`, or TorchScript if it already is TorchScript."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import torch

from assay.bench.python.given import as_arrays
from assay.errors import InputError
from assay.files.arrays import load_arrays

BATCH = "batch"


def write(model: object, inputs: object, stem: Path) -> tuple[Path, tuple[str, ...]] | None:
    """Write a model; see `assay.bench.python.live.written.Write`.

    Raises:
        InputError: there are no inputs with which to trace a module.
    """
    if isinstance(model, torch.jit.ScriptModule):
        path = stem.with_suffix(".pt")
        model.save(str(path))
        return path, _names(model.forward)
    if isinstance(model, torch.export.ExportedProgram):
        path = stem.with_suffix(".pt2")
        torch.export.save(model, path)
        return path, tuple(str(one) for one in model.graph_signature.user_inputs)
    if not isinstance(model, torch.nn.Module):
        return None
    names = _names(model.forward)
    example = _example(inputs, names)
    path = stem.with_suffix(".pt2")
    torch.export.save(_program(model, example), path)
    return path, tuple(example)


def _names(forward: Any) -> tuple[str, ...]:
    try:
        return tuple(inspect.signature(forward).parameters)
    except (TypeError, ValueError):
        return ()


def _example(inputs: object, names: tuple[str, ...]) -> dict[str, torch.Tensor]:
    """Return two rows or more of every input that has rows, so that no batch of one is baked in."""
    if inputs is None:
        raise InputError(
            "A live PyTorch module is written by torch.export, which traces it with an example",
            expected="inputs by the names of forward's arguments",
            found="none",
        )
    arrays = load_arrays(Path(inputs)) if isinstance(inputs, str | Path) else as_arrays(inputs, names)
    unknown = sorted(set(arrays) - set(names))
    if unknown:
        raise InputError("forward has no such arguments", expected=", ".join(names), found=", ".join(unknown))
    ordered = {name: arrays[name] for name in names if name in arrays}
    return {name: torch.from_numpy(np.array(_at_least_two(one))) for name, one in ordered.items()}


def _at_least_two(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.concatenate([array, array]) if array.ndim and len(array) == 1 else array


def _program(model: torch.nn.Module, example: dict[str, torch.Tensor]) -> torch.export.ExportedProgram:
    """Export the module in inference mode, for any batch if it takes one; the module's own mode is restored."""
    modes = {module: module.training for module in model.modules()}
    any_batch = {name: {0: torch.export.Dim(BATCH)} if one.ndim else None for name, one in example.items()}
    try:
        model.eval()
        try:
            return torch.export.export(model, (), example, dynamic_shapes=any_batch)
        except Exception:  # noqa: BLE001 - it takes only the example's batch, or cannot be exported at all
            return torch.export.export(model, (), example)
    finally:
        for module, training in modes.items():
            module.training = training
