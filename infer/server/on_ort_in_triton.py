"""The backend "onnxruntime" of the Triton server that `assay serve` runs: its Python backend runs onnxruntime.

The server program of the nvidia-pytriton package has no ONNX backend. A folder `onnxruntime` with this file as its
`model.py` lets it serve the same model repository as a stock Triton image, `backend: "onnxruntime"` and all. It runs
in the tool environment of infer/server/envs/triton.txt and imports nothing of ours.

Of a model's configuration it obeys what the stock backend calls `intra_op_thread_count` and `inter_op_thread_count`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import triton_python_backend_utils as triton  # only there inside the server
from numpy.typing import NDArray

Arrays = list[NDArray[Any]]
Config = dict[str, Any]  # the server's ModelConfig as JSON
KINDS = {"FP32": "float", "FP64": "double"}  # of ONNX, where it is not Triton's own in small letters


class UnanswerableError(Exception):
    """A request that cannot be answered; its text goes to the client."""


class TritonPythonModel:
    """One instance of one version of a model, in a process of its own."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load the version's model.onnx and hold it against the configuration; what does not fit is not served."""
        config: Config = json.loads(args["model_config"])
        path = Path(args["model_repository"], args["model_version"], "model.onnx")
        self.session = onnxruntime.InferenceSession(path, options_of(config), providers=["CPUExecutionProvider"])
        inputs = {one.name: one.type for one in self.session.get_inputs()}
        outputs = {one.name: one.type for one in self.session.get_outputs()}
        if types_of(config["input"]) != inputs or not types_of(config["output"]).items() <= outputs.items():
            raise triton.TritonModelException(
                f"{path} has the inputs {inputs} and the outputs {outputs}, config.pbtxt names others"
            )
        self.inputs = [one["name"] for one in config["input"]]
        self.outputs = [one["name"] for one in config["output"]]
        self.types = [triton.triton_string_to_numpy(one["data_type"]) for one in config["input"]]
        self.shapes = [shape_of(one) for one in config["input"]]
        self.most = config["max_batch_size"]

    def execute(self, requests: list[triton.InferenceRequest]) -> list[triton.InferenceResponse]:
        """Answer all requests of a dynamic batch by one run; each gets its own part, or its own error."""
        answers: dict[int, triton.InferenceResponse] = {}
        accepted: dict[int, Arrays] = {}
        for place, request in enumerate(requests):
            try:
                accepted[place] = self.inputs_of(request)
            except UnanswerableError as error:
                answers[place] = failed(error)
        answers |= self.answered(accepted)
        return [answers[place] for place in range(len(requests))]

    def inputs_of(self, request: triton.InferenceRequest) -> Arrays:
        """The request's inputs; the server has checked much of this, but what it lets pass ends here.

        Raises:
            RefusedError: they are not what the model takes.
        """
        found: Arrays = []
        for name, kind, shape in zip(self.inputs, self.types, self.shapes, strict=True):
            tensor = triton.get_input_tensor_by_name(request, name)
            if tensor is None:
                raise UnanswerableError(f"the input {name} is missing")
            array = tensor.as_numpy()
            if array.dtype != kind:
                raise UnanswerableError(f"the input {name} is {array.dtype}, expected {np.dtype(kind)}")
            given = array.shape[1:] if self.most else array.shape
            if array.ndim != len(shape) + bool(self.most) or given != shape:
                raise UnanswerableError(f"a record's {name} is {given}, expected {shape}")
            found.append(array)
        counts = {len(array) for array in found} if self.most else {1}
        if len(counts) != 1 or not 1 <= min(counts) <= max(self.most, 1):
            counted = ", ".join(map(str, sorted(counts)))
            raise UnanswerableError(f"the request has {counted} records, expected 1 to {self.most}")
        return found

    def answered(self, accepted: dict[int, Arrays]) -> dict[int, triton.InferenceResponse]:
        """By the request's place its answer, or the response that says why there is none."""
        if not accepted:
            return {}
        if len(accepted) == 1 or self.most:
            try:
                return self.run_together(accepted)
            except Exception as error:  # noqa: BLE001  onnxruntime's exceptions share no base but this
                if len(accepted) == 1:
                    return {place: failed(error) for place in accepted}
        found: dict[int, triton.InferenceResponse] = {}
        for place, inputs in accepted.items():  # one request's failure is not the others'
            found |= self.answered({place: inputs})
        return found

    def run_together(self, accepted: dict[int, Arrays]) -> dict[int, triton.InferenceResponse]:
        """One run over the records of all requests, split again by whose they are.

        Raises:
            RefusedError: the model did not answer every record.
        """
        parts = list(accepted.values())
        inputs = parts[0] if len(parts) == 1 else [np.concatenate(some) for some in zip(*parts, strict=True)]
        outputs: Arrays = self.session.run(self.outputs, dict(zip(self.inputs, inputs, strict=True)))
        if not self.most:
            return {place: self.answer(outputs) for place in accepted}
        for name, output in zip(self.outputs, outputs, strict=True):
            if output.shape[:1] != inputs[0].shape[:1]:
                raise UnanswerableError(f"the model answered {len(inputs[0])} records with {output.shape} of {name}")
        if len(parts) == 1:
            return {place: self.answer(outputs) for place in accepted}
        ends = np.cumsum([len(part[0]) for part in parts])[:-1]
        split = zip(*(np.split(output, ends) for output in outputs), strict=True)
        return {place: self.answer(list(some)) for place, some in zip(accepted, split, strict=True)}

    def answer(self, outputs: Arrays) -> triton.InferenceResponse:
        """A response with these outputs."""
        return triton.InferenceResponse([triton.Tensor(*pair) for pair in zip(self.outputs, outputs, strict=True)])


def types_of(tensors: list[Config]) -> dict[str, str]:
    """What the configuration says of inputs or outputs, in ONNX's words."""
    kinds = {one["name"]: one["data_type"].removeprefix("TYPE_") for one in tensors}
    return {name: f"tensor({KINDS.get(kind, kind.lower())})" for name, kind in kinds.items()}


def shape_of(tensor: Config) -> tuple[int, ...]:
    """Of one record, as the graph has it: a single number has no dimension there."""
    reshape = tensor.get("reshape")
    dims = tensor["dims"] if reshape is None else reshape.get("shape", [])
    return tuple(int(size) for size in dims)


def options_of(config: Config) -> onnxruntime.SessionOptions:
    """onnxruntime's options from a model's configuration; one thread each where it says nothing."""
    given = config.get("parameters", {})
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(given.get("intra_op_thread_count", {}).get("string_value", 1))
    options.inter_op_num_threads = int(given.get("inter_op_thread_count", {}).get("string_value", 1))
    options.log_severity_level = 3
    return options


def failed(error: Exception) -> triton.InferenceResponse:
    """A response that says why there is no answer."""
    return triton.InferenceResponse(output_tensors=[], error=triton.TritonError(str(error)))
