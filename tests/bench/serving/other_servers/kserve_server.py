"""A deployment in KServe's own model server: `python kserve_server.py DEPLOYMENT HTTP_PORT GRPC_PORT`.

It runs in the tool environment of kserve.txt and imports nothing of ours. It answers without Triton's extensions: over
HTTP in JSON, over gRPC in typed fields.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer


class Deployed(Model):
    """The version of a deployment that serves."""

    def __init__(self, folder: Path) -> None:
        self.deployment = json.loads((folder / "deployment.json").read_text(encoding="utf-8"))
        super().__init__(self.deployment["name"])
        path = folder / "models" / self.name / str(self.deployment["serving"]) / "model.onnx"
        self.session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        self.ready = True

    def get_input_types(self) -> list[dict[str, Any]]:
        return self.described("inputs")

    def get_output_types(self) -> list[dict[str, Any]]:
        return self.described("outputs")

    def described(self, kind: str) -> list[dict[str, Any]]:
        """Name, type and shape of the inputs or outputs, including the batch."""
        return [
            {"name": one["name"], "datatype": one["datatype"], "shape": [-1, *(one["shape"] or [1])]}
            for one in self.deployment[kind]
        ]

    async def predict(self, payload: InferRequest, *_: object, **__: object) -> InferResponse:
        inputs = {one.name: one.as_numpy() for one in payload.inputs}
        outputs = []
        wanted = self.deployment["outputs"]
        arrays = self.session.run([one["name"] for one in wanted], inputs)
        for one, array in zip(wanted, arrays, strict=True):
            shaped = np.reshape(array, (len(array), -1))
            output = InferOutput(one["name"], list(shaped.shape), one["datatype"])
            output.set_data_from_numpy(shaped, binary_data=False)
            outputs.append(output)
        return InferResponse(response_id=payload.id, model_name=self.name, infer_outputs=outputs)


if __name__ == "__main__":
    ModelServer(http_port=int(sys.argv[2]), grpc_port=int(sys.argv[3]), workers=1).start([Deployed(Path(sys.argv[1]))])
