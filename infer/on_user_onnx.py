"""A user's ONNX file, or the export of a user's model, in ONNX Runtime: any number of inputs and outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import onnxruntime as ort

from assay.errors import ArtifactError
from assay.user.arrays import Array, Records, inputs_of, rows_of
from infer.observed import Observed
from infer.on_ort_observed import observe
from infer.runtime import ModelFiles, signature_of

Feeds = Mapping[str, Array]


class UserOrtSession:
    """`InferenceSession.run` on numpy arrays by name."""

    precision = "fp32"

    def __init__(self, model: ModelFiles, session: ort.InferenceSession, facts: dict[str, str]) -> None:
        self.signature = signature_of(model, "NHWC")
        self.facts = facts
        self._session, self._model, self._file = session, model.users, model.onnx
        self._outputs = [output.name for output in session.get_outputs()]
        names = [one.name for one in self._model.inputs]
        found = [one.name for one in session.get_inputs()]
        if set(found) != set(names):
            raise ArtifactError(
                f"{model.onnx} has other inputs than its model", expected=", ".join(names), found=", ".join(found)
            )
        self._names = names

    def prepare(self, images: Records) -> Feeds:
        return dict(zip(self._names, inputs_of(self._model, images), strict=True))

    def run(self, native: Feeds) -> Sequence[Array]:
        return self._session.run(self._outputs, native)

    def fetch(self, native: Sequence[Array]) -> Array:
        return rows_of(self._model, native)

    def observe(self, native: Feeds) -> Observed:
        return observe(self._file, self._session, {})

    def close(self) -> None:
        del self._session
