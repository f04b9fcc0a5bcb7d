"""ONNX Runtime, on the CPU and on CUDA."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import onnxruntime as ort

from assay.errors import ArtifactError, InputError
from assay.foreign import said_by
from assay.infer.observing.observed import Observed
from assay.infer.observing.on_ort import RECORD_PLACES, observe
from assay.infer.runtime import Ends, ModelFiles, Records, ends_of, signature_of
from assay.infer.runtimes.same_for_all import (
    TF32_OFF,
    on_a_gpu,
    onnxruntime_on_cuda,
    onnxruntime_options,
)
from assay.spec import CUDA_PROVIDER, Settings
from assay.train.brought.arrays import Array

Feeds = Mapping[str, Array]
Values = Sequence[ort.OrtValue]

LEVELS = {
    "none": ort.GraphOptimizationLevel.ORT_DISABLE_ALL,
    "basic": ort.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    "extended": ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    "all": ort.GraphOptimizationLevel.ORT_ENABLE_ALL,
}


class _OrtSession:
    """The part of an ONNX Runtime session that does not depend on the device."""

    def __init__(self, model: ModelFiles, session: ort.InferenceSession, settings: Settings) -> None:
        self.precision = model.precision
        self.signature = signature_of(model, model.onnx_layout)
        self.facts = _facts(session, settings)
        self._session, self._file = session, model.onnx
        self._ends = ends_of(model, model.onnx_layout)
        self._inputs, self._outputs = _names_of(model, session, self._ends)

    def observe(self, native: object) -> Observed:
        return observe(self._file, self._session, {"TF32": "on"} if self.precision == "tf32" else TF32_OFF)

    def close(self) -> None:
        del self._session


class CpuSession(_OrtSession):
    """`InferenceSession.run` on numpy arrays by name."""

    def prepare(self, records: Records) -> Feeds:
        return dict(zip(self._inputs, self._ends.arrays(records), strict=True))

    def run(self, native: Feeds) -> Sequence[Array]:
        return self._session.run(self._outputs, native)

    def fetch(self, native: Sequence[Array]) -> Array:
        return self._ends.rows(native)


class CudaSession(_OrtSession):
    """Inputs and outputs stay on the GPU through I/O binding; `prepare` and `fetch` copy."""

    def prepare(self, records: Records) -> Values:
        return [ort.OrtValue.ortvalue_from_numpy(one, "cuda", 0) for one in self._ends.arrays(records)]

    def run(self, native: Values) -> Values:
        binding = self._session.io_binding()
        for name, value in zip(self._inputs, native, strict=True):
            binding.bind_ortvalue_input(name, value)
        for name in self._outputs:
            binding.bind_output(name, "cuda", 0)
        self._session.run_with_iobinding(binding)
        binding.synchronize_outputs()
        return binding.get_outputs()

    def fetch(self, native: Values) -> Array:
        return self._ends.rows([one.numpy() for one in native])


def _names_of(model: ModelFiles, session: ort.InferenceSession, ends: Ends) -> tuple[list[str], list[str]]:
    """Return the names of the inputs, in the model's order, and of the outputs; our own models have one of each.

    Raises:
        ArtifactError: a user's file has different inputs from its model.
    """
    inputs = [one.name for one in session.get_inputs()]
    outputs = [one.name for one in session.get_outputs()]
    if model.user is None:
        return inputs[:1], outputs[:1]
    if set(inputs) != set(ends.names):
        expected, found = ", ".join(ends.names), ", ".join(inputs)
        raise ArtifactError(f"{model.onnx} has different inputs from its model", expected=expected, found=found)
    return list(ends.names), outputs


def load_cpu(model: ModelFiles, settings: Settings) -> CpuSession:
    return _load_at("all", model, settings)


def load_without_optimisation(model: ModelFiles, settings: Settings) -> CpuSession:
    """Load the graph as it was exported, operator by operator."""
    return _load_at("none", model, settings)


def load_basic(model: ModelFiles, settings: Settings) -> CpuSession:
    """Load with optimisations that do not depend on the processor: constants folded, redundant nodes left out."""
    return _load_at("basic", model, settings)


def load_extended(model: ModelFiles, settings: Settings) -> CpuSession:
    """Load with fused operators too, but without changes of the memory layout."""
    return _load_at("extended", model, settings)


def _load_at(level: str, model: ModelFiles, settings: Settings) -> CpuSession:
    session = CpuSession(model, session_of(model, settings, level=level), settings)
    session.facts["graph optimisation"] = level
    return session


def load_cuda(model: ModelFiles, settings: Settings) -> CudaSession:
    """Load on CUDA, with TF32 turned off so that fp32 means fp32."""
    return _load_on_cuda(model, settings)


def load_cuda_tf32(model: ModelFiles, settings: Settings) -> CudaSession:
    """Products and convolutions of an fp32 file may be computed in TF32, as they are by default."""
    on_a_gpu(settings)
    session = _load_on_cuda(model, settings, tf32=True)
    session.precision = "tf32" if model.precision == "fp32" else model.precision
    return session


def _load_on_cuda(model: ModelFiles, settings: Settings, *, tf32: bool = False) -> CudaSession:
    """
    Raises:
        InputError: this onnxruntime has no CUDA provider, or it did not start.
    """
    session = session_of(model, settings, onnxruntime_on_cuda(tf32=tf32))
    if "CUDAExecutionProvider" not in session.get_providers():
        raise InputError("The CUDA execution provider did not start", found=", ".join(session.get_providers()))
    loaded = CudaSession(model, session, settings)
    loaded.facts |= _chosen_by(session)
    return loaded


def _chosen_by(session: ort.InferenceSession) -> dict[str, str]:
    """Return what the CUDA provider says about its settings for kernels and TF32."""
    options = session.get_provider_options().get("CUDAExecutionProvider", {})
    return {name: options.get(name, "not said") for name in CUDA_PROVIDER}


def session_of(
    model: ModelFiles,
    settings: Settings,
    providers: Sequence[str | tuple[str, dict[str, str]]] = ("CPUExecutionProvider",),
    *,
    profile: Path | None = None,
    level: str = "all",
) -> ort.InferenceSession:
    """Make a session, with all graph optimisations unless told otherwise.

    Args:
        level: level of graph optimisation, a key of `LEVELS`.
        profile: where given, every call is profiled from the start, into a file whose name begins with this.

    Raises:
        InputError: there is no ONNX file.
        ArtifactError: onnxruntime refuses it.
    """
    if model.onnx is None:
        raise InputError("ONNX Runtime needs an ONNX file", found="only neutral weights")
    options = onnxruntime_options(settings)
    options.graph_optimization_level = LEVELS[level]
    options.add_session_config_entry(RECORD_PLACES, "1")
    if profile is not None:
        options.enable_profiling = True
        options.profile_file_prefix = str(profile)
    try:
        return ort.InferenceSession(model.onnx, options, providers=list(providers))
    except Exception as error:  # onnxruntime's exceptions share no base but this
        raise ArtifactError(f"onnxruntime cannot load {model.onnx.name}", found=said_by(error)) from error


def _facts(session: ort.InferenceSession, settings: Settings) -> dict[str, str]:
    return {
        "providers": ", ".join(session.get_providers()),
        "graph optimisation": "all",
        "intra-op threads": str(settings.threads),
        "intra-op spinning": "default (on)" if settings.threads > 1 else "none (one thread)",
    }
