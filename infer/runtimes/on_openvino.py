"""OpenVINO on the CPU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import openvino as ov

from assay.errors import ArtifactError, InputError
from assay.foreign import said_by
from assay.infer.observing.observed import Observed
from assay.infer.observing.on_openvino import observe
from assay.infer.runtime import ModelFiles, Records, ends_of, signature_of
from assay.infer.runtimes.same_for_all import openvino_properties
from assay.spec import OPENVINO_FILE, Settings
from assay.train.brought.arrays import Array

Feeds = Mapping[str, ov.Tensor]

PRECISIONS = {"f32": "fp32", "bf16": "bf16", "f16": "fp16"}


class OpenVinoSession:
    """An infer request of a compiled model. fp32 is asked for, since OpenVINO may otherwise compute in bf16."""

    def __init__(self, model: ModelFiles, compiled: ov.CompiledModel, precision: str = "") -> None:
        self.signature = signature_of(model, model.onnx_layout)
        told, self.facts = told_by(compiled)
        self.precision = precision or (told if model.precision == "fp32" else model.precision)
        self._request, self._compiled = compiled.create_infer_request(), compiled
        self._file, self._ends = None if model.program else model.onnx, ends_of(model, model.onnx_layout)
        self._inputs = self._ends.names if model.user else (compiled.inputs[0].get_any_name(),)
        self._outputs = range(len(compiled.outputs) if model.user else 1)

    def prepare(self, records: Records) -> Feeds:
        return {
            name: ov.Tensor(array, shared_memory=array.ndim > 0)
            for name, array in zip(self._inputs, self._ends.arrays(records), strict=True)
        }

    def run(self, native: Feeds) -> Sequence[ov.Tensor]:
        self._request.infer(native, share_inputs=True, share_outputs=True)
        return [self._request.get_output_tensor(place) for place in self._outputs]

    def fetch(self, native: Sequence[ov.Tensor]) -> Array:
        return self._ends.rows([one.data.copy() for one in native])

    def observe(self, native: Feeds) -> Observed:
        return observe(self._file, self._compiled)

    def close(self) -> None:
        del self._request, self._compiled


def told_by(compiled: ov.CompiledModel) -> tuple[str, dict[str, str]]:
    """Return the precision that a compiled model says it computes in, and facts worth recording."""
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
    """Compile the ONNX file for the CPU.

    Args:
        counting: whether to add performance counters, for a profile; they cost time in every call.
        precision: precision of floating-point operators, as OpenVINO names it; "" leaves it to OpenVINO.

    Raises:
        InputError: there is no ONNX file, or a device other than the CPU is asked for.
        ArtifactError: OpenVINO refuses the file.
    """
    if model.onnx is None:
        raise InputError("OpenVINO needs an ONNX file", found="only neutral weights")
    wanted = openvino_properties(settings) | {"PERF_COUNT": counting}
    wanted |= {"INFERENCE_PRECISION_HINT": precision} if precision else {}
    try:
        return ov.Core().compile_model(model.onnx, "CPU", wanted)
    except RuntimeError as error:
        raise ArtifactError(f"OpenVINO cannot load {model.onnx.name}", found=said_by(error)) from error


def load_bf16(model: ModelFiles, settings: Settings) -> OpenVinoSession:
    """
    Raises:
        InputError: this processor has no bf16 arithmetic, so that OpenVINO would compute in fp32.
    """
    if "BF16" not in ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        raise InputError("OpenVINO cannot compute in bf16 on this processor")
    return OpenVinoSession(model, compiled_model(model, settings, precision="bf16"))


def load_as_it_comes(model: ModelFiles, settings: Settings) -> OpenVinoSession:
    """Load in bf16 where the processor has it."""
    return OpenVinoSession(model, compiled_model(model, settings, precision=""))


def load(model: ModelFiles, settings: Settings) -> OpenVinoSession:
    """Load in fp32; see `compiled_model` for errors."""
    return OpenVinoSession(model, compiled_model(model, settings))


def load_int8(model: ModelFiles, settings: Settings) -> OpenVinoSession:
    """Load the file that NNCF made from the ONNX file.

    Raises:
        InputError: NNCF made no file, or as for `compiled_model`.
        ArtifactError: OpenVINO refuses the file, or computes none of it in integers.
    """
    if model.program is None:
        raise InputError("OpenVINO needs a file that NNCF made", expected=OPENVINO_FILE, found="only an ONNX file")
    compiled = compiled_model(model.model_copy(update={"onnx": model.program / OPENVINO_FILE}), settings)
    seen = observe(None, compiled)
    if seen.precision != "int8":
        raise ArtifactError(
            f"OpenVINO does not compute {OPENVINO_FILE} in int8",
            expected="products and convolutions in integers",
            found=seen.facts.get("arithmetic in", "no arithmetic"),
        )
    return OpenVinoSession(model, compiled, "int8")
