"""ONNX Runtime on the CPU, and what its sessions on a GPU have in common with those."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Self

import onnxruntime as ort

from assay.errors import ArtifactError, InputError
from assay.foreign import said_by
from assay.infer.observing.observed import Observed
from assay.infer.observing.on_ort import RECORD_PLACES, observe
from assay.infer.runtime import Ends, ModelFiles, Records, ends_of, signature_of
from assay.infer.runtimes.same_for_all import TF32_OFF, onnxruntime_options
from assay.spec import Settings
from assay.train.brought.arrays import Array

Feeds = Mapping[str, Array]

LEVELS = {
    "none": ort.GraphOptimizationLevel.ORT_DISABLE_ALL,
    "basic": ort.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    "extended": ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    "all": ort.GraphOptimizationLevel.ORT_ENABLE_ALL,
}


class OrtSession:
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

    def with_facts(self, provider: str, names: Iterable[str]) -> Self:
        """Add what a provider says about some of its settings."""
        options = self._session.get_provider_options().get(provider, {})
        self.facts |= {name: options.get(name, "not said") for name in names}
        return self


class CpuSession(OrtSession):
    """`InferenceSession.run` on numpy arrays by name."""

    def prepare(self, records: Records) -> Feeds:
        return dict(zip(self._inputs, self._ends.arrays(records), strict=True))

    def run(self, native: Feeds) -> Sequence[Array]:
        return self._session.run(self._outputs, native)

    def fetch(self, native: Sequence[Array]) -> Array:
        return self._ends.rows(native)


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
