"""LiteRT, TensorFlow's own runtime for deployment, which was called TensorFlow Lite."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from ai_edge_litert.interpreter import Interpreter

from assay.errors import ArtifactError, InputError
from assay.foreign import said_by
from assay.infer.observing.observed import Observed
from assay.infer.observing.on_litert import computed_in, observe
from assay.infer.runtime import ModelFiles, Records, ends_of, signature_of
from assay.spec import LITERT_FILE, Settings
from assay.train.brought.arrays import Array
from assay.train.brought.named.on_litert import named_ends

Arrays = Sequence[Array]
DELEGATED = "DELEGATE"
NONE_WRITTEN = "LiteRT needs a file made for it"


class LiteRtSession:
    """An interpreter with XNNPACK. A call copies its inputs into the interpreter's memory and its outputs out of it."""

    def __init__(self, model: ModelFiles, interpreter: Interpreter, content: bytes, precision: str) -> None:
        self.signature = signature_of(model, "NHWC")
        self.precision = precision
        self.facts: dict[str, str] = {}
        self._ends, self._content, self._interpreter = ends_of(model), content, interpreter
        self._inputs, self._outputs = _places(model, interpreter)
        self._shapes: list[tuple[int, ...]] = []

    def prepare(self, records: Records) -> Arrays:
        return self._ends.arrays(records)

    def run(self, native: Arrays) -> Arrays:
        shapes = [one.shape for one in native]
        if shapes != self._shapes:
            self._take(shapes)
        for place, value in zip(self._inputs, native, strict=True):
            self._interpreter.set_tensor(place, value)
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(place) for place in self._outputs]

    def fetch(self, native: Arrays) -> Array:
        return self._ends.rows(native)

    def observe(self, native: Arrays) -> Observed:
        self.run(native)
        seen = observe(self._content)
        return replace(seen, facts={**seen.facts, "delegate": delegated(self._interpreter)})

    def close(self) -> None:
        del self._interpreter

    def _take(self, shapes: list[tuple[int, ...]]) -> None:
        """Accept inputs of these shapes from now on.

        Raises:
            InputError: the file cannot take them.
        """
        try:
            for place, shape in zip(self._inputs, shapes, strict=True):
                self._interpreter.resize_tensor_input(place, shape)
            self._interpreter.allocate_tensors()
        except (RuntimeError, ValueError) as error:
            raise InputError(
                "LiteRT does not run this model with these inputs", expected=str(shapes), found=said_by(error)
            ) from error
        self._shapes = shapes


def is_given(model: ModelFiles) -> bool:
    """Return whether the file is a user's own, and not one that was made of the model."""
    return model.user is not None and model.user.location.form == "tflite"


def _places(model: ModelFiles, interpreter: Interpreter) -> tuple[list[int], list[int]]:
    """Return the places of inputs and outputs among the tensors, in the model's order. Files of ours have inputs whose
    names are in order; a user's own has the names that the model was found to have.
    """
    if is_given(model) and model.user is not None:
        inputs, outputs = named_ends(interpreter)
        kept = [one for name, one in outputs.items() if name not in model.user.without]
        return [int(inputs[one.name]["index"]) for one in model.user.inputs], [int(one["index"]) for one in kept]
    named = sorted(interpreter.get_input_details(), key=lambda one: str(one["name"]))
    return [int(one["index"]) for one in named], [int(one["index"]) for one in interpreter.get_output_details()]


def delegated(interpreter: Interpreter) -> str:
    """Describe the part of a graph that XNNPACK computes, as an interpreter with allocated inputs lists it; the rest is
    computed by kernels that may take several times as long.
    """
    parts = [one for one in interpreter._get_ops_details() if one["op_name"] == DELEGATED]
    if not parts:
        return "none"
    ends = (("inputs", interpreter.get_input_details()), ("outputs", interpreter.get_output_details()))
    whole = all({int(one["index"]) for one in details} <= set(parts[0][side]) for side, details in ends)
    return f"XNNPACK{'' if whole else ' in part'}"


def load_fp32(model: ModelFiles, settings: Settings) -> LiteRtSession:
    return _load(model, settings, "fp32", lambda found: found == "fp32")


def load_half_weights(model: ModelFiles, settings: Settings) -> LiteRtSession:
    return _load(model, settings, "fp16", lambda found: found == "fp16")


def load_int8(model: ModelFiles, settings: Settings) -> LiteRtSession:
    """Load int8 of either kind."""
    return _load(model, settings, "int8", lambda found: found == "int8")


def _load(model: ModelFiles, settings: Settings, precision: str, is_right: Callable[[str], bool]) -> LiteRtSession:
    """
    Raises:
        InputError: this model was not converted for LiteRT, or a device other than the CPU is asked for.
        ArtifactError: the file is not one of LiteRT, or computes in another precision than it should.
    """
    if model.program is None:
        raise InputError(NONE_WRITTEN, expected=LITERT_FILE, found="only neutral weights or a user's model")
    if settings.device != "cpu":
        raise InputError("LiteRT runs on the CPU only", found=settings.device)
    file = model.program / LITERT_FILE
    try:
        content = file.read_bytes()
        interpreter = Interpreter(model_content=content, num_threads=settings.threads)
    except (OSError, RuntimeError, ValueError) as error:
        raise ArtifactError(f"LiteRT cannot load {file.name}", found=said_by(error)) from error
    found = computed_in(content)
    if is_given(model):
        return LiteRtSession(model, interpreter, content, found or precision)
    if found and not is_right(found):
        raise ArtifactError(
            f"{file.name} does not compute in {precision}",
            expected=f"products and convolutions in {precision}",
            found=observe(content).facts.get("arithmetic in", found),
        )
    return LiteRtSession(model, interpreter, content, precision)
