"""What a route to ONNX is asked for when the model is a user's; it answers as all routes do (`export.request`)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from assay.user.model import UserModel


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
