"""OpenVINO on the CPU."""

from __future__ import annotations

import numpy as np
import openvino as ov

from assay.errors import ArtifactError, InputError
from assay.spec import Settings
from infer.observed import Observed
from infer.on_openvino_observed import observe
from infer.on_user_openvino import UserOpenVinoSession
from infer.runtime import Images, Logits, ModelFiles, signature_of

PRECISIONS = {"f32": "fp32", "bf16": "bf16", "f16": "fp16"}


class OpenVinoSession:
    """An infer request of a compiled model. fp32 is asked for: left alone, OpenVINO may compute in bf16."""

    def __init__(self, model: ModelFiles, compiled: ov.CompiledModel) -> None:
        self.signature = signature_of(model, model.onnx_layout)
        told, self.facts = told_by(compiled)
        self.precision = told if model.precision == "fp32" else model.precision
        self._request, self._compiled = compiled.create_infer_request(), compiled
        self._file = model.onnx
        self._channels_first = model.onnx_layout == "NCHW"

    def prepare(self, images: Images) -> ov.Tensor:
        images = np.ascontiguousarray(images.transpose(0, 3, 1, 2)) if self._channels_first else images
        return ov.Tensor(images, shared_memory=True)

    def run(self, native: ov.Tensor) -> ov.Tensor:
        self._request.infer([native], share_inputs=True, share_outputs=True)
        return self._request.get_output_tensor(0)

    def fetch(self, native: ov.Tensor) -> Logits:
        return native.data.copy()

    def observe(self, native: ov.Tensor) -> Observed:
        return observe(self._file, self._compiled)

    def close(self) -> None:
        del self._request, self._compiled


def told_by(compiled: ov.CompiledModel) -> tuple[str, dict[str, str]]:
    """What a compiled model says that it computes in, and what is worth recording."""
    told = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
    facts = {
        "inference precision": told,
        "threads": str(compiled.get_property("INFERENCE_NUM_THREADS")),
        "streams": str(compiled.get_property("NUM_STREAMS")),
    }
    return PRECISIONS.get(told, told), facts


def compiled_model(
    model: ModelFiles, settings: Settings, *, counting: bool = False, precision: str = "f32"
) -> ov.CompiledModel:
    """The ONNX file compiled for the CPU.

    Args:
        counting: with performance counters, for a profile; they cost time in every call.
        precision: that floating-point operators compute in, as OpenVINO names it; "" leaves it to OpenVINO.

    Raises:
        InputError: there is no ONNX file, or a device other than the CPU is asked for.
        ArtifactError: OpenVINO refuses the file.
    """
    if model.onnx is None:
        raise InputError("OpenVINO needs an ONNX file", found="neutral weights alone")
    if settings.device != "cpu":
        raise InputError("The openvino runtime runs on the CPU only", found=settings.device)
    wanted = {
        **({"INFERENCE_PRECISION_HINT": precision} if precision else {}),
        "INFERENCE_NUM_THREADS": settings.threads,
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
        "PERF_COUNT": counting,
    }
    try:
        return ov.Core().compile_model(model.onnx, "CPU", wanted)
    except RuntimeError as error:
        raise ArtifactError(f"OpenVINO cannot load {model.onnx}", found=str(error)) from error


def load_bf16(model: ModelFiles, settings: Settings) -> OpenVinoSession | UserOpenVinoSession:
    """
    Raises:
        InputError: this processor has no bf16 arithmetic, so that OpenVINO would compute in fp32.
    """
    if "BF16" not in ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        raise InputError("OpenVINO computes nothing in bf16 on this processor")
    return _session(model, compiled_model(model, settings, precision="bf16"))


def load_as_it_comes(model: ModelFiles, settings: Settings) -> OpenVinoSession | UserOpenVinoSession:
    """In bf16 where the processor has it."""
    return _session(model, compiled_model(model, settings, precision=""))


def load(model: ModelFiles, settings: Settings) -> OpenVinoSession | UserOpenVinoSession:
    """See `compiled_model` for what it raises."""
    return _session(model, compiled_model(model, settings))


def _session(model: ModelFiles, compiled: ov.CompiledModel) -> OpenVinoSession | UserOpenVinoSession:
    """Images in and logits out for our own models, anything for a user's."""
    return (
        OpenVinoSession(model, compiled)
        if model.user is None
        else UserOpenVinoSession(model, compiled, *told_by(compiled))
    )
