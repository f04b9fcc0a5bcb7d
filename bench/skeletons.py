"""The skeletons of a study: per architecture weights of no meaning, and per route an ONNX file of them."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from pydantic import JsonValue

from assay.jobs import run_job
from assay.registry import EXPORTERS, installed_versions
from assay.spec import ModelSpec
from assay.store import Artifact, artifact_key, find_artifact, write_artifact
from export.reference import CPU_ONLY
from infer.runtime import ModelFiles
from train.architectures import skeleton_of
from train.weights import initial_weights, save_weights

WEIGHTS_FILE, MODEL_FILE, LOG_FILE = "weights.safetensors", "model.onnx", "export.log"
EXPORT_LIMIT_SECONDS = 300.0


def skeleton_files(spec: ModelSpec, exporter: str, opset: int, folder: Path) -> ModelFiles:
    """The skeleton of a model: its weights, or with an exporter its ONNX file. Made once, for all sizes.

    Raises:
        AssayError: the route cannot export it.
    """
    skeleton = skeleton_of(spec)
    weights = _weights(skeleton, folder).file(WEIGHTS_FILE)
    if not exporter:
        return ModelFiles(spec=skeleton, weights=weights)
    file = _onnx(skeleton, weights, exporter, opset, folder)
    return ModelFiles(spec=skeleton, onnx=file.file(MODEL_FILE), onnx_layout=str(file.manifest.facts["layout"]))


def _weights(spec: ModelSpec, folder: Path) -> Artifact:
    inputs = {"spec": cast("JsonValue", spec.to_dict())}
    where = folder / f"{spec.architecture}-weights-{artifact_key('skeleton weights', inputs)[:12]}"

    def fill(work: Path) -> dict[str, JsonValue]:
        save_weights(work / WEIGHTS_FILE, initial_weights(spec, 0))
        return {}

    found = find_artifact(where, "skeleton weights", inputs)
    return found or write_artifact(where, "skeleton weights", inputs, made_by={}, fill=fill)


def _onnx(spec: ModelSpec, weights: Path, exporter: str, opset: int, folder: Path) -> Artifact:
    versions = installed_versions(sorted({*EXPORTERS[exporter].packages, "onnx"}))
    inputs = {
        "spec": cast("JsonValue", spec.to_dict()),
        "exporter": exporter,
        "opset": opset,
        "versions": cast("JsonValue", versions),
    }
    where = folder / f"{spec.architecture}-{exporter}-{artifact_key('skeleton', inputs)[:12]}"

    def fill(work: Path) -> dict[str, JsonValue]:
        request = {
            "exporter": exporter,
            "spec": cast("JsonValue", spec.to_dict()),
            "weights": str(weights),
            "output": str(work / MODEL_FILE),
            "opset": opset,
        }
        log = folder / "logs" / f"{spec.architecture}-{exporter}.log"
        return run_job("export.skeleton_job", request, log, limit_seconds=EXPORT_LIMIT_SECONDS, environment=CPU_ONLY)

    found = find_artifact(where, "skeleton", inputs)
    return found or write_artifact(where, "skeleton", inputs, made_by=versions, fill=fill)
