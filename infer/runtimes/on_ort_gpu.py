"""ONNX Runtime on a GPU: its providers for CUDA, with CUDA graphs or without, and for TensorRT."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

import onnxruntime as ort

from assay.errors import InputError
from assay.infer.gpu.cudart import Cudart
from assay.infer.observing.observed import Observed
from assay.infer.runtime import ModelFiles, Records
from assay.infer.runtimes.on_ort import OrtSession, session_of
from assay.infer.runtimes.same_for_all import TF32_ON_A_GPU, need_gpu, onnxruntime_on_cuda
from assay.spec import CUDA_PROVIDER, ENGINES_VARIABLE, Settings
from assay.train.brought.arrays import Array

Values = Sequence[ort.OrtValue]
Providers = Sequence[tuple[str, dict[str, str]]]
CUDA, TENSORRT = "CUDAExecutionProvider", "TensorrtExecutionProvider"
MAY_NARROW = "trt_fp16_enable"
NO_TF32 = {"NVIDIA_TF32_OVERRIDE": "0"}
"""TensorRT rounds fp32 to TF32 by itself, and its provider has no option for that; the libraries have a variable."""


class CudaSession(OrtSession):
    """Inputs and outputs stay on the GPU through I/O binding; `prepare` and `fetch` copy."""

    place = "cuda"
    providers: Providers = ()
    _last: ort.IOBinding | None = None

    def prepare(self, records: Records) -> Values:
        return [ort.OrtValue.ortvalue_from_numpy(one, self.place, 0) for one in self._ends.arrays(records)]

    def run(self, native: Values) -> Values:
        self._last = binding = self._bound(native)
        self._session.run_with_iobinding(binding)
        binding.synchronize_outputs()
        return binding.get_outputs()

    def synchronise(self) -> None:
        """Wait for the outputs of the last call, which `run` has waited for."""
        if self._last is not None:
            self._last.synchronize_outputs()

    def fetch(self, native: Values) -> Array:
        return self._ends.rows([one.numpy() for one in native])

    def _bound(self, inputs: Values) -> ort.IOBinding:
        binding = self._session.io_binding()
        for name, value in zip(self._inputs, inputs, strict=True):
            binding.bind_ortvalue_input(name, value)
        for name in self._outputs:
            binding.bind_output(name, self.place, 0)
        return binding


@dataclass(frozen=True)
class Recorded:
    """The graph of one shape: its inputs and outputs at the addresses that it repeats."""

    inputs: Values
    outputs: Values
    binding: ort.IOBinding
    options: ort.RunOptions


OnGpu = TypeVar("OnGpu", bound=CudaSession)


class GraphSession(CudaSession):
    """One CUDA graph for each shape of the inputs, which is recorded at the first calls with it.

    A graph repeats the addresses that it was recorded with. So `run` first copies its inputs, on the GPU, to where the
    graph reads them; the answers are in the same place after each call.
    https://onnxruntime.ai/docs/execution-providers/CUDA-ExecutionProvider.html (using CUDA graphs)
    """

    copies: Cudart

    def run(self, native: Values) -> Values:
        recorded = self._recorded(native)
        for there, given in zip(recorded.inputs, native, strict=True):
            self.copies.copy(there.data_ptr(), given.data_ptr(), given.tensor_size_in_bytes())
        self.copies.wait()
        self._session.run_with_iobinding(recorded.binding, recorded.options)
        recorded.binding.synchronize_outputs()
        self._last = recorded.binding
        return recorded.outputs

    def _recorded(self, native: Values) -> Recorded:
        """Return the graph for inputs of these shapes. A first call without a graph shows the shapes of the outputs."""
        known: dict[tuple[tuple[int, ...], ...], Recorded] = self.__dict__.setdefault("_graphs", {})
        shapes = tuple(tuple(one.shape()) for one in native)
        if shapes not in known:
            inputs, options = [self._like(one) for one in native], ort.RunOptions()
            for there, given in zip(inputs, native, strict=True):
                self.copies.copy(there.data_ptr(), given.data_ptr(), given.tensor_size_in_bytes())
            self.copies.wait()
            binding = self._bound(inputs)
            options.add_run_config_entry("gpu_graph_id", "-1")
            self._session.run_with_iobinding(binding, options)
            binding.synchronize_outputs()
            outputs = [self._like(one) for one in binding.get_outputs()]
            binding = self._bound(inputs)
            for name, value in zip(self._outputs, outputs, strict=True):
                binding.bind_ortvalue_output(name, value)
            options = ort.RunOptions()
            options.add_run_config_entry("gpu_graph_id", str(len(known) + 1))
            known[shapes] = Recorded(inputs, outputs, binding, options)
        return known[shapes]

    def _like(self, value: ort.OrtValue) -> ort.OrtValue:
        return ort.OrtValue.ortvalue_from_shape_and_type(value.shape(), value.element_type(), self.place, 0)


class TensorrtSession(CudaSession):
    """Engines of TensorRT. Which of their layers are in fp16 is not told: where they may be, answers count as fp16."""

    def observe(self, native: object) -> Observed:
        seen = super().observe(native)
        if self._session.get_provider_options().get(TENSORRT, {}).get(MAY_NARROW) != "1":
            return seen
        return replace(seen, precision="fp16", computed="", facts={**seen.facts, "fp16": "allowed in each layer"})


def load_cuda(model: ModelFiles, settings: Settings) -> CudaSession:
    """Load on CUDA, with TF32 turned off so that fp32 means fp32."""
    session = _started(CudaSession, model, settings, onnxruntime_on_cuda())
    return session.with_facts(CUDA, CUDA_PROVIDER)


def load_cuda_tf32(model: ModelFiles, settings: Settings) -> CudaSession:
    """Products and convolutions of an fp32 file may be computed in TF32, as they are by default."""
    need_gpu(settings, TF32_ON_A_GPU)
    session = _started(CudaSession, model, settings, onnxruntime_on_cuda(tf32=True))
    session.precision = "tf32" if model.precision == "fp32" else model.precision
    return session.with_facts(CUDA, CUDA_PROVIDER)


def load_cuda_graphs(model: ModelFiles, settings: Settings) -> GraphSession:
    """Load on CUDA with graphs.

    Raises:
        InputError: as for `load_cuda`, or CUDA's own library is not there.
        ArtifactError: a node of the file stays on the CPU, which ONNX Runtime refuses with graphs.
    """
    ((name, options),) = onnxruntime_on_cuda()
    wanted = options | {"enable_cuda_graph": "1"}
    session = _started(GraphSession, model, settings, [(name, wanted)])
    session.copies = Cudart()
    return session.with_facts(CUDA, wanted)


def load_tensorrt(model: ModelFiles, settings: Settings) -> TensorrtSession:
    """Load on TensorRT in fp32, without TF32."""
    os.environ.update(NO_TF32)
    session = _on_tensorrt(model, settings, {MAY_NARROW: "0"})
    session.facts |= NO_TF32
    return session


def load_tensorrt_fp16(model: ModelFiles, settings: Settings) -> TensorrtSession:
    """Layers may be computed in fp16, where TensorRT finds that faster."""
    session = _on_tensorrt(model, settings, {MAY_NARROW: "1"})
    session.precision = "fp16"
    return session


def _on_tensorrt(model: ModelFiles, settings: Settings, options: Mapping[str, str]) -> TensorrtSession:
    """Engines are built at the first call of each shape, and kept for the other processes of the run.

    Raises:
        InputError: this onnxruntime has no provider for TensorRT, or TensorRT's libraries are not there.
    """
    on_cuda = onnxruntime_on_cuda()
    if find_spec("tensorrt"):
        import_module("tensorrt")  # loads its libraries, which its package does not put where they are looked for
    there = ort.get_available_providers()
    if TENSORRT not in there:
        raise InputError(f"This onnxruntime has no {TENSORRT}", found=", ".join(there))
    engines = os.environ.get(ENGINES_VARIABLE, "")
    kept = {"trt_engine_cache_enable": "1", "trt_engine_cache_path": engines} if engines else {}
    wanted = {**options, **kept}
    session = _started(TensorrtSession, model, settings, [(TENSORRT, wanted), *on_cuda])
    return session.with_facts(TENSORRT, options)


def _started(kind: type[OnGpu], model: ModelFiles, settings: Settings, providers: Providers) -> OnGpu:
    """
    Raises:
        InputError: the first provider did not start: ONNX Runtime then takes the next, and warns.
    """
    inference = session_of(model, settings, providers)
    if inference.get_providers()[0] != providers[0][0]:
        raise InputError(f"{providers[0][0]} did not start", found=", ".join(inference.get_providers()))
    session = kind(model, inference, settings)
    session.providers = providers
    return session


def with_profile(
    session: CudaSession, model: ModelFiles, settings: Settings, profile: Path
) -> tuple[CudaSession, ort.InferenceSession]:
    """Return a session like another, whose every call is recorded by ONNX Runtime; see `session_of`."""
    inference = session_of(model, settings, session.providers, profile=profile)
    found = type(session)(model, inference, settings)
    if isinstance(session, GraphSession) and isinstance(found, GraphSession):
        found.copies = session.copies
    return found, inference
