"""One of our architectures with neutral weights, described in the same way as a model that a user brings."""

from __future__ import annotations

from pathlib import Path

from assay.errors import InputError
from assay.records.base import Record
from assay.spec import INPUT_NAME, OUTPUT_NAME, ModelSpec
from assay.train.brought.model import Tensor


class BuiltModel(Record):
    """A model that can be built in any framework from its description; see `UserModel` for why it is one of two.

    Attributes:
        weights: neutral weights, a .safetensors file; None where nothing needs them, as for a ruler.
        fingerprint: key of the weights artifact: it changes with the model.
    """

    spec: ModelSpec
    weights: Path | None = None
    fingerprint: str = ""

    @property
    def file(self) -> Path:
        """The file of its weights.

        Raises:
            InputError: there are none.
        """
        if self.weights is None:
            raise InputError(f"{self.name} has no framework-neutral weights", expected="a .safetensors file")
        return self.weights

    @property
    def name(self) -> str:
        """The model's name in results."""
        return self.spec.architecture

    @property
    def image_size(self) -> int:
        """Height and width of the input image."""
        return self.spec.size

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """The only input, an image: height, width and channels."""
        return (Tensor(name=INPUT_NAME, dtype="float32", shape=self.spec.image_shape),)

    @property
    def outputs(self) -> tuple[Tensor, ...]:
        """The only output, the logits."""
        return (Tensor(name=OUTPUT_NAME, dtype="float32", shape=(self.spec.classes,)),)

    def shape_of(self, tensor: Tensor, batch: int) -> tuple[int, ...]:
        """Return the shape of an input in a call with so many images."""
        return (batch, *tensor.shape)

    def open_shape_of(self, tensor: Tensor) -> tuple[int | None, ...]:
        """Return the same, with None for a batch of any size."""
        return (None, *tensor.shape)

    @property
    def example_batch(self) -> int:
        """A batch to trace with, so that no dimension of one is baked in."""
        return 2
