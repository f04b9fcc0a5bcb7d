"""The request to an exporter and its answer; the interface of all routes to ONNX.

An exporter is a function `export(request: ExportRequest) -> ExportOutcome` in a file of its own, named in
`assay.registry.EXPORTERS`. Its model is built or brought. It writes the file; naming, metadata and checks are common
to all and come after.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from assay.train.brought.model import Tensor, UserModel
from assay.train.built import BuiltModel

Images = NDArray[np.float32]
"""Normalised images, (images, height, width, channels)."""
Forward = Callable[[Images], NDArray[np.floating]]
"""A framework's own forward pass: images to logits (images, classes)."""


@dataclass(frozen=True)
class ShownForward:
    """A forward pass that shows its operators.

    Attributes:
        run: the pass itself.
        operators: names the operators that compute in a call, as `assay.train.brought.loaders.loaded.LoadedModel` does.
    """

    run: Forward
    operators: Callable[[Images], tuple[str, ...]]

    def __call__(self, images: Images) -> NDArray[np.floating]:
        return self.run(images)


@dataclass(frozen=True)
class Argument:
    """An input as a route declares it.

    Attributes:
        name: the route's name for it; the file gets the model's own names afterwards, which may be any text.
        shape: its shape, where None is a batch of any size, and a word another dimension of any size.
        example: a shape to trace with.
        limits: least and largest size of the dimensions that are words, by word.
    """

    name: str
    dtype: str
    shape: tuple[int | str | None, ...]
    example: tuple[int, ...]
    limits: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def without_words(self) -> tuple[int | None, ...]:
        """Its shape, where None is a dimension of any size."""
        return tuple(None if isinstance(size, str) else size for size in self.shape)

    @property
    def is_open(self) -> bool:
        """Whether any dimension may have any size."""
        return any(not isinstance(size, int) for size in self.shape)


@dataclass(frozen=True)
class ExportRequest:
    """One model to write as ONNX, its inputs and outputs under plain names and in the model's order.

    Attributes:
        output: the .onnx file to write, in a folder that exists.
        opset: the operator set wanted; a route that cannot use it uses the nearest one it can.
        examples: .npy file of a user's records, the first of which a route that computes while it traces is to trace
            with; zeros where there is none. Zeros are no example for a matrix that has to be inverted.
    """

    model: BuiltModel | UserModel
    output: Path
    opset: int
    examples: Path | None = None

    def inputs(self, layout: str = "NHWC") -> tuple[Argument, ...]:
        """
        Args:
            layout: layout in which the route takes images of our own models; a user's inputs stay as they are.
        """
        model = self.model
        moved = layout == "NCHW" and isinstance(model, BuiltModel)
        tensors = [_channels_first(one) if moved else one for one in model.inputs]
        return tuple(
            Argument(
                name,
                one.dtype,
                _opened(model.open_shape_of(one), one),
                model.shape_of(one, model.example_batch),
                {size.symbol: (size.least, size.most) for size in one.open},
            )
            for name, one in zip(plain_names("input", len(tensors)), tensors, strict=True)
        )

    @property
    def outputs(self) -> list[str]:
        """The route's names of the outputs."""
        return plain_names("output", len(self.model.outputs))


@dataclass(frozen=True)
class ExportOutcome:
    """How the file was made.

    Attributes:
        layout: "NHWC" or "NCHW", the route's order of dimensions for our own models' images.
        transforms: changes made to the model on the way, in words, such as "BatchNorm folded into the convolutions";
            empty for a plain export.
        versions: the packages of the route by name.
    """

    layout: str
    transforms: tuple[str, ...]
    versions: dict[str, str]


def plain_names(kind: str, count: int) -> list[str]:
    """Return names that every framework and exporter takes, in alphabetical order."""
    return [f"assay_{kind}_{place:04}" for place in range(count)]


def versions_of(*distributions: str) -> dict[str, str]:
    """Return versions of installed distributions by name; one that is not installed is left out."""
    found = {}
    for name in distributions:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _opened(shape: tuple[int | None, ...], one: Tensor) -> tuple[int | str | None, ...]:
    """Return a shape with words for the dimensions that are left open beside the batch."""
    found: list[int | str | None] = list(shape)
    for size in one.open:
        found[size.axis + len(shape) - len(one.shape)] = size.symbol
    return tuple(found)


def _channels_first(image: Tensor) -> Tensor:
    height, width, channels = image.shape
    return image.model_copy(update={"shape": (channels, height, width)})
