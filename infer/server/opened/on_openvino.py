"""A model's file in OpenVINO on the CPU, with the properties that the runtime was measured with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray


class OpenedByOpenVino:
    """A function from inputs by name to outputs.

    Attributes:
        inputs, outputs: by name, NumPy's name of their types.
    """

    def __init__(self, path: str | Path, options: Mapping[str, str]) -> None:
        model = ov.Core().compile_model(path, "CPU", dict(options))
        self._request = model.create_infer_request()
        self.inputs = {one.get_any_name(): _type(one) for one in model.inputs}
        self.outputs = {one.get_any_name(): _type(one) for one in model.outputs}
        self._places = {name: place for place, one in enumerate(model.outputs) for name in one.get_names()}

    def __call__(self, inputs: Mapping[str, NDArray[Any]], outputs: Sequence[str]) -> list[NDArray[Any]]:
        self._request.infer(dict(inputs))
        return [self._request.get_output_tensor(self._places[name]).data.copy() for name in outputs]


def _type(port: Any) -> str:
    return np.dtype(port.get_element_type().to_dtype()).name


def open_model(
    path: str | Path, options: Mapping[str, str], inputs: Mapping[str, str], outputs: Mapping[str, str]
) -> OpenedByOpenVino:
    """The file, compiled; every option is one of OpenVINO's properties. RuntimeError where it is refused.

    Its inputs and outputs are those that the file says, whatever others are expected.
    """
    del inputs, outputs
    return OpenedByOpenVino(path, options)
