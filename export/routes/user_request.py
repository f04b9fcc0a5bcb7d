"""What a route to ONNX is asked for when the model is a user's; it answers as all routes do (`request.py`)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from assay.train.brought.model import UserModel


@dataclass(frozen=True)
class UserExportRequest:
    """One model to write as ONNX, its inputs and outputs under the model's names and in their order.

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


def plain_names(kind: str, count: int) -> list[str]:
    """Names that every framework and exporter takes, in alphabetical order."""
    return [f"assay_{kind}_{place:04}" for place in range(count)]
