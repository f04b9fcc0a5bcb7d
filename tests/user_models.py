"""Users' models, and what jobs are asked about them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from assay.export.job import CheckExportRequest
from assay.export.probing.probe import ProbeRequest
from assay.train.brought.model import Kind, Location, Tensor, UserModel, read_shapes
from assay.train.brought.sources import locate


def tensor(name: str, *shape: int, dtype: str = "float32", **more: Any) -> Tensor:
    return Tensor(name=name, dtype=dtype, shape=shape, **more)


def user_model(
    inputs: tuple[Tensor, ...], outputs: tuple[Tensor, ...], kind: Kind = "onnx", path: Path | None = None, **more: Any
) -> UserModel:
    """A model in a file of its kind, as its probe describes it."""
    is_file = kind == "onnx"
    location = Location(
        path=path or Path("model.onnx" if is_file else "model.py"),
        form="onnx" if is_file else "function",
        kind=kind,
        function="" if is_file else "build",
    )
    return UserModel(location=location, kind=kind, inputs=inputs, outputs=outputs, **more)


def to_probe(folder: Path, model: str | Path, *shapes: str, framework: str = "", **more: Any) -> ProbeRequest:
    """The request to look at a model, which is called with single rows unless `more` says otherwise."""
    folder.mkdir(parents=True, exist_ok=True)
    return ProbeRequest(location=locate(str(model), framework), shapes=read_shapes(list(shapes)), folder=folder, **more)


def to_check(folder: Path, model: UserModel, file: Path, exporter: str = "it", **more: Any) -> CheckExportRequest:
    """The request to check a file by what its probe, and the search for deciders, wrote into a folder."""
    records, native, reference, deciders = (
        folder / name for name in ("records.npy", "native.npy", "reference.npy", "deciders.npz")
    )
    return CheckExportRequest(
        model=model,
        exporter=exporter,
        file=file,
        records=records,
        native=native,
        reference=reference,
        deciders=deciders,
        **more,
    )
