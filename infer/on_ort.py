"""ONNX Runtime, on the CPU and on CUDA."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime as ort

from assay.errors import ArtifactError, InputError
from assay.spec import Settings
from infer.observed import Observed
from infer.on_ort_observed import RECORD_PLACES, observe
from infer.on_user_onnx import UserOrtSession
from infer.runtime import Images, Logits, ModelFiles, signature_of

LEVELS = {
    "none": ort.GraphOptimizationLevel.ORT_DISABLE_ALL,
    "basic": ort.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    "extended": ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    "all": ort.GraphOptimizationLevel.ORT_ENABLE_ALL,
}


TF32_OFF = {"TF32": "off"}
"""The CPU has none, and CUDA is told so."""


class CpuSession:
    """`InferenceSession.run` on numpy arrays."""

    def __init__(self, model: ModelFiles, session: ort.InferenceSession, settings: Settings) -> None:
        self.precision = model.precision
        self.signature = signature_of(model, model.onnx_layout)
        self.facts = _facts(session, settings)
        self._session, self._file = session, model.onnx
        self._input = session.get_inputs()[0].name
        self._outputs = [session.get_outputs()[0].name]
        self._channels_first = model.onnx_layout == "NCHW"

    def prepare(self, images: Images) -> Images:
        return np.ascontiguousarray(images.transpose(0, 3, 1, 2)) if self._channels_first else images

    def run(self, native: Images) -> Logits:
        return self._session.run(self._outputs, {self._input: native})[0]

    def fetch(self, native: Logits) -> Logits:
        return native

    def observe(self, native: Images) -> Observed:
        return observe(self._file, self._session, TF32_OFF)

    def close(self) -> None:
        del self._session


class CudaSession:
    """Input and output stay on the GPU through I/O binding; `prepare` and `fetch` copy."""

    def __init__(self, model: ModelFiles, session: ort.InferenceSession, settings: Settings) -> None:
        self.precision = model.precision
        self.signature = signature_of(model, model.onnx_layout)
        self.facts = _facts(session, settings)
        self._session, self._file = session, model.onnx
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

    def observe(self, native: ort.OrtValue) -> Observed:
        return observe(self._file, self._session, TF32_OFF)

    def close(self) -> None:
        del self._session


def load_cpu(model: ModelFiles, settings: Settings) -> CpuSession | UserOrtSession:
    return _load_at("all", model, settings)


def load_without_optimisation(model: ModelFiles, settings: Settings) -> CpuSession | UserOrtSession:
    """The graph as it was exported, operator by operator."""
    return _load_at("none", model, settings)


def load_basic(model: ModelFiles, settings: Settings) -> CpuSession | UserOrtSession:
    """What is known without the processor: constants folded, what is redundant left out."""
    return _load_at("basic", model, settings)


def load_extended(model: ModelFiles, settings: Settings) -> CpuSession | UserOrtSession:
    """Operators fused too, but no change of the memory layout."""
    return _load_at("extended", model, settings)


def _load_at(level: str, model: ModelFiles, settings: Settings) -> CpuSession | UserOrtSession:
    session = cpu_session(model, session_of(model, settings, level=level), settings)
    session.facts["graph optimisation"] = level
    return session


def cpu_session(model: ModelFiles, session: ort.InferenceSession, settings: Settings) -> CpuSession | UserOrtSession:
    """Images in and logits out for our own models, anything for a user's."""
    if model.user is not None:
        return UserOrtSession(model, session, _facts(session, settings))
    return CpuSession(model, session, settings)


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
    session = session_of(model, settings, [("CUDAExecutionProvider", {"use_tf32": "0"})])
    if "CUDAExecutionProvider" not in session.get_providers():
        raise InputError("The CUDA execution provider did not start", found=", ".join(session.get_providers()))
    return CudaSession(model, session, settings)


def session_of(
    model: ModelFiles,
    settings: Settings,
    providers: Sequence[str | tuple[str, dict[str, str]]] = ("CPUExecutionProvider",),
    *,
    profile: Path | None = None,
    level: str = "all",
) -> ort.InferenceSession:
    """A session, with all graph optimisations unless told otherwise.

    Args:
        level: how far the graph is optimised, a key of `LEVELS`.
        profile: where given, every call is profiled from the start, into a file whose name begins with this.

    Raises:
        InputError: there is no ONNX file.
        ArtifactError: onnxruntime refuses it.
    """
    if model.onnx is None:
        raise InputError("ONNX Runtime needs an ONNX file", found="neutral weights alone")
    options = ort.SessionOptions()
    options.graph_optimization_level = LEVELS[level]
    options.intra_op_num_threads = settings.threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry(RECORD_PLACES, "1")
    if profile is not None:
        options.enable_profiling = True
        options.profile_file_prefix = str(profile)
    try:
        return ort.InferenceSession(model.onnx, options, providers=list(providers))
    except Exception as error:  # onnxruntime's exceptions share no base but this
        raise ArtifactError(f"onnxruntime cannot load {model.onnx}", found=str(error)) from error


def _facts(session: ort.InferenceSession, settings: Settings) -> dict[str, str]:
    return {
        "providers": ", ".join(session.get_providers()),
        "graph optimisation": "all",
        "intra-op threads": str(settings.threads),
        "intra-op spinning": "default (on)" if settings.threads > 1 else "none (one thread)",
    }
