"""A user's ONNX file, or the export of a user's model, in OpenVINO: any number of inputs and outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import openvino as ov

from assay.user.arrays import Array, Records, inputs_of, rows_of
from infer.observed import Observed
from infer.on_openvino_observed import observe
from infer.runtime import ModelFiles, signature_of

Feeds = Mapping[str, ov.Tensor]


class UserOpenVinoSession:
    """An infer request of a compiled model, fed by name."""

    def __init__(self, model: ModelFiles, compiled: ov.CompiledModel, precision: str, facts: dict[str, str]) -> None:
        self.signature = signature_of(model, "NHWC")
        self.precision, self.facts = precision, facts
        self._request, self._compiled = compiled.create_infer_request(), compiled
        self._file = model.onnx
        self._model, self._outputs = model.users, range(len(compiled.outputs))

    def prepare(self, images: Records) -> Feeds:
        arrays = inputs_of(self._model, images)
        return {
            one.name: ov.Tensor(array, shared_memory=array.ndim > 0)
            for one, array in zip(self._model.inputs, arrays, strict=True)
        }

    def run(self, native: Feeds) -> Sequence[ov.Tensor]:
        self._request.infer(native, share_inputs=True, share_outputs=True)
        return [self._request.get_output_tensor(place) for place in self._outputs]

    def fetch(self, native: Sequence[ov.Tensor]) -> Array:
        return rows_of(self._model, [one.data.copy() for one in native])

    def observe(self, native: Feeds) -> Observed:
        return observe(self._file, self._compiled)

    def close(self) -> None:
        del self._request, self._compiled
