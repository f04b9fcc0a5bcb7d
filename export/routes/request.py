"""What an exporter is asked for and what it answers; the one interface of all routes to ONNX.

An exporter is a file with two functions, named in `assay.registry.EXPORTERS`: `export(request: ExportRequest)` for our
architectures and `export_brought(request: BroughtRequest)` for models that users bring, both to an `ExportOutcome`.
They write the file; naming, metadata and checks are common to all and come after.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from assay.spec import ModelSpec
from assay.train.brought.model import UserModel

Images = NDArray[np.float32]
"""Normalised images, (images, height, width, channels)."""
Forward = Callable[[Images], NDArray[np.floating]]
"""A framework's own forward pass: images to logits (images, classes)."""


@dataclass(frozen=True)
class ExportRequest:
    """One model to write as ONNX.

    Attributes:
        spec: the model.
        weights: its neutral weights, a .safetensors file.
        output: the .onnx file to write, in a folder that exists.
        opset: the operator set wanted; a route that cannot give it gives the nearest it can.
    """

    spec: ModelSpec
    weights: Path
    output: Path
    opset: int


@dataclass(frozen=True)
class BroughtRequest:
    """A model that a user brought to write as ONNX, its inputs and outputs under the model's names and in their order.

    Attributes:
        output: the .onnx file to write, in a folder that exists.
        opset: the operator set wanted; a route that cannot give it gives the nearest it can.
    """

    model: UserModel
    output: Path
    opset: int

    @property
    def inputs(self) -> list[str]:
        """What a route calls the inputs; the file gets the model's own names afterwards, which may be any text."""
        return plain_names("input", len(self.model.inputs))

    @property
    def outputs(self) -> list[str]:
        """The same of the outputs."""
        return plain_names("output", len(self.model.outputs))


@dataclass(frozen=True)
class ExportOutcome:
    """How the file was made.

    Attributes:
        layout: "NHWC" or "NCHW", the order of the input's dimensions.
        transforms: what was done to the model on the way, in words, such as "BatchNorm folded into the
            convolutions"; empty for a plain export.
        versions: the packages of the route by name.
    """

    layout: str
    transforms: tuple[str, ...]
    versions: dict[str, str]


def versions_of(*distributions: str) -> dict[str, str]:
    """Versions of installed distributions by name; one that is not installed is left out."""
    found = {}
    for name in distributions:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def plain_names(kind: str, count: int) -> list[str]:
    """Names that every framework and exporter takes, in alphabetical order."""
    return [f"assay_{kind}_{place:04}" for place in range(count)]
