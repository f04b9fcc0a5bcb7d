"""ONNX Runtime, on the CPU and on CUDA."""

from __future__ import annotations

import numpy as np
import onnxruntime as ort

from assay.errors import ArtifactError, InputError
from assay.spec import Settings
from infer.runtime import Images, Logits, ModelFiles, signature_of


class CpuSession:
    """`InferenceSession.run` on numpy arrays."""

    precision = "fp32"

    def __init__(self, model: ModelFiles, session: ort.InferenceSession, settings: Settings) -> None:
        self.signature = signature_of(model, model.onnx_layout)
        self.facts = _facts(session, settings)
        self._session = session
        self._input = session.get_inputs()[0].name
        self._outputs = [session.get_outputs()[0].name]
        self._channels_first = model.onnx_layout == "NCHW"

    def prepare(self, images: Images) -> Images:
        return np.ascontiguousarray(images.transpose(0, 3, 1, 2)) if self._channels_first else images

    def run(self, native: Images) -> Logits:
        return self._session.run(self._outputs, {self._input: native})[0]

    def fetch(self, native: Logits) -> Logits:
        return native

    def close(self) -> None:
        del self._session


class CudaSession:
    """Input and output stay on the GPU through I/O binding; `prepare` and `fetch` copy."""

    precision = "fp32"

    def __init__(self, model: ModelFiles, session: ort.InferenceSession, settings: Settings) -> None:
        self.signature = signature_of(model, model.onnx_layout)
        self.facts = _facts(session, settings)
        self._session = session
        self._input = session.get_inputs()[0].name
        self._output = session.get_outputs()[0].name
        self._channels_first = model.onnx_layout == "NCHW"

    def prepare(self, images: Images) -> ort.OrtValue:
        images = np.ascontiguousarray(images.transpose(0, 3, 1, 2)) if self._channels_first else images
        return ort.OrtValue.ortvalue_from_numpy(images, "cuda", 0)

    def run(self, native: ort.OrtValue) -> ort.OrtValue:
        binding = self._session.io_binding()
        binding.bind_ortvalue_input(self._input, native)
        binding.bind_output(self._output, "cuda", 0)
        self._session.run_with_iobinding(binding)
        binding.synchronize_outputs()
        return binding.get_outputs()[0]

    def fetch(self, native: ort.OrtValue) -> Logits:
        return native.numpy()

    def close(self) -> None:
        del self._session


def load_cpu(model: ModelFiles, settings: Settings) -> CpuSession:
    return CpuSession(model, _session(model, settings, ["CPUExecutionProvider"]), settings)


def load_cuda(model: ModelFiles, settings: Settings) -> CudaSession:
    """TF32 is turned off, so that fp32 means fp32.

    Raises:
        InputError: this onnxruntime has no CUDA provider, or it did not start.
    """
    if "CUDAExecutionProvider" not in ort.get_available_providers():
        raise InputError(
            "This onnxruntime has no CUDA execution provider",
            found=", ".join(ort.get_available_providers()),
            remedy="On a machine with an NVIDIA GPU install the extra 'gpu' in place of 'cpu'",
        )
    session = _session(model, settings, [("CUDAExecutionProvider", {"use_tf32": "0"})])
    if "CUDAExecutionProvider" not in session.get_providers():
        raise InputError("The CUDA execution provider did not start", found=", ".join(session.get_providers()))
    return CudaSession(model, session, settings)


def _session(
    model: ModelFiles, settings: Settings, providers: list[str | tuple[str, dict[str, str]]]
) -> ort.InferenceSession:
    """A session with all graph optimisations.

    Raises:
        InputError: there is no ONNX file.
        ArtifactError: onnxruntime refuses it.
    """
    if model.onnx is None:
        raise InputError("ONNX Runtime needs an ONNX file", found="neutral weights alone")
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.intra_op_num_threads = settings.threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return ort.InferenceSession(model.onnx, options, providers=providers)
    except Exception as error:  # onnxruntime's exceptions share no base but this
        raise ArtifactError(f"onnxruntime cannot load {model.onnx}", found=str(error)) from error


def _facts(session: ort.InferenceSession, settings: Settings) -> dict[str, str]:
    return {
        "providers": ", ".join(session.get_providers()),
        "graph optimisation": "all",
        "intra-op threads": str(settings.threads),
        "intra-op spinning": "default (on)" if settings.threads > 1 else "none (one thread)",
    }
