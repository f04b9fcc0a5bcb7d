"""The backend "onnxruntime" of the Triton server that `assay serve` runs: its Python backend runs onnxruntime.

The server program of the nvidia-pytriton package has no ONNX backend. A folder `onnxruntime` with this file as its
`model.py` lets it serve the same model repository as a stock Triton image, `backend: "onnxruntime"` and all. It runs
in the tool environment of infer/envs/triton.txt and imports nothing of ours.

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

Images = NDArray[np.uint8]
Outputs = list[NDArray[Any]]
Config = dict[str, Any]  # the server's ModelConfig as JSON
TYPES = {
    "tensor(uint8)": np.uint8,
    "tensor(float)": np.float32,
    "tensor(int64)": np.int64,
}


class RefusedError(Exception):
    """A request that cannot be answered; its text goes to the client."""


class TritonPythonModel:
    """One instance of one version of a model, in a process of its own."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load the version's model.onnx and hold it against the configuration; what does not fit is not served."""
        config: Config = json.loads(args["model_config"])
        path = Path(args["model_repository"], args["model_version"], "model.onnx")
        self.session = onnxruntime.InferenceSession(path, options_of(config), providers=["CPUExecutionProvider"])
        (self.input,) = self.session.get_inputs()
        self.outputs = [output["name"] for output in config["output"]]
        offered = [output.name for output in self.session.get_outputs()]
        if [self.input.name] != [one["name"] for one in config["input"]] or set(self.outputs) - set(offered):
            raise triton.TritonModelException(
                f"{path} has the input {self.input.name} and the outputs {offered}, config.pbtxt names others"
            )
        self.type = TYPES[self.input.type]
        self.image = tuple(int(size) for size in config["input"][0]["dims"])
        self.most = config["max_batch_size"]

    def execute(self, requests: list[triton.InferenceRequest]) -> list[triton.InferenceResponse]:
        """Answer all requests of a dynamic batch by one run; each gets its own part, or its own error."""
        answers: dict[int, triton.InferenceResponse] = {}
        accepted: dict[int, Images] = {}
        for place, request in enumerate(requests):
            try:
                accepted[place] = self.images_of(request)
            except RefusedError as error:
                answers[place] = failed(error)
        answers |= self.answered(accepted)
        return [answers[place] for place in range(len(requests))]

    def images_of(self, request: triton.InferenceRequest) -> Images:
        """The request's images; the server has checked much of this, but what it lets pass ends here.

        Raises:
            RefusedError: they are not what the model takes.
        """
        tensor = triton.get_input_tensor_by_name(request, self.input.name)
        if tensor is None:
            raise RefusedError(f"the input {self.input.name} is missing")
        images: Images = tensor.as_numpy()
        if images.dtype != self.type:
            raise RefusedError(f"the input {self.input.name} is {images.dtype}, expected {np.dtype(self.type)}")
        if images.ndim != len(self.image) + 1 or images.shape[1:] != self.image:
            raise RefusedError(f"an image is {images.shape[1:]}, expected {self.image}")
        if not 1 <= len(images) <= self.most:
            raise RefusedError(f"the request has {len(images)} images, expected 1 to {self.most}")
        return images

    def answered(self, accepted: dict[int, Images]) -> dict[int, triton.InferenceResponse]:
        """By the request's place its answer, or the response that says why there is none."""
        if not accepted:
            return {}
        try:
            return self.run_together(accepted)
        except Exception as error:  # noqa: BLE001  onnxruntime's exceptions share no base but this
            if len(accepted) == 1:
                return {place: failed(error) for place in accepted}
        found: dict[int, triton.InferenceResponse] = {}
        for place, images in accepted.items():  # one request's failure is not the others'
            found |= self.answered({place: images})
        return found

    def run_together(self, accepted: dict[int, Images]) -> dict[int, triton.InferenceResponse]:
        """One run over the images of all requests, split again by whose they are.

        Raises:
            RefusedError: the model did not answer every image.
        """
        parts = list(accepted.values())
        images = parts[0] if len(parts) == 1 else np.concatenate(parts)
        outputs: Outputs = self.session.run(self.outputs, {self.input.name: images})
        for name, output in zip(self.outputs, outputs, strict=True):
            if len(output) != len(images):
                raise RefusedError(f"the model answered {len(images)} images with {len(output)} of {name}")
        ends = np.cumsum([len(part) for part in parts])[:-1]
        split = zip(*(np.split(output, ends) for output in outputs), strict=True)
        return {place: self.answer(some) for place, some in zip(accepted, split, strict=True)}

    def answer(self, outputs: tuple[NDArray[Any], ...]) -> triton.InferenceResponse:
        """A response with these outputs."""
        return triton.InferenceResponse([triton.Tensor(*pair) for pair in zip(self.outputs, outputs, strict=True)])


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
