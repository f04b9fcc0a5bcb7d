"""A model behind Triton's Python backend: its `model.py`, with the file that opens it beside it as `open_model.py`.

A deployment takes it along for Triton's backend "python", in a version's folder. And the server program of the
nvidia-pytriton package has no ONNX backend: a folder "onnxruntime" with both files lets it serve the same model
repository as a stock Triton image, `backend: "onnxruntime"` and all. It imports nothing of ours.

A model's configuration says as parameters what it is opened with; "model_file" is the file's name.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as triton  # only there inside the server
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parent))
from open_model import open_model  # type: ignore[import-not-found]

Arrays = list[NDArray[Any]]
Config = dict[str, Any]  # the server's ModelConfig as JSON


class UnanswerableError(Exception):
    """A request that cannot be answered; its text goes to the client."""


class TritonPythonModel:
    """One instance of one version of a model, in a process of its own."""

    def initialize(self, args: dict[str, str]) -> None:
        """Open the version's file and hold it against the configuration; what does not fit is not served."""
        config: Config = json.loads(args["model_config"])
        options = {name: one["string_value"] for name, one in config.get("parameters", {}).items()}
        path = Path(args["model_repository"], args["model_version"], options.pop("model_file", "model.onnx"))
        inputs, outputs = types_of(config["input"]), types_of(config["output"])
        self.opened = open_model(path, options, inputs, outputs)
        if inputs != self.opened.inputs or not outputs.items() <= self.opened.outputs.items():
            raise triton.TritonModelException(
                f"{path} has the inputs {self.opened.inputs} and the outputs {self.opened.outputs}, config.pbtxt names "
                "different ones"
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
            except Exception as error:  # noqa: BLE001  exceptions of libraries share no base but this
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
        outputs: Arrays = self.opened(dict(zip(self.inputs, inputs, strict=True)), self.outputs)
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
    """By name, NumPy's name of the type that the configuration says of an input or output."""
    return {one["name"]: np.dtype(triton.triton_string_to_numpy(one["data_type"])).name for one in tensors}


def shape_of(tensor: Config) -> tuple[int, ...]:
    """The shape of one record, as the graph has it: a single number has no dimension there."""
    reshape = tensor.get("reshape")
    dims = tensor["dims"] if reshape is None else reshape.get("shape", [])
    return tuple(int(size) for size in dims)


def failed(error: Exception) -> triton.InferenceResponse:
    """A response that says why there is no answer."""
    return triton.InferenceResponse(output_tensors=[], error=triton.TritonError(str(error)))
