"""The skeletons of a study: meaningless weights for each architecture, and an ONNX file of them for each route."""

from __future__ import annotations

from pathlib import Path

from pydantic import JsonValue

from assay.export.job import EXPORT, RouteRequest
from assay.export.record import MODEL_FILE
from assay.export.run import route_versions
from assay.infer.runtime import ModelFiles
from assay.jobs.host import Starter
from assay.jobs.pace import Pace, allowed
from assay.jobs.running import run_job
from assay.spec import ModelSpec
from assay.steps import Limit
from assay.store import Artifact, Store
from assay.train.architectures import skeleton_of
from assay.train.built import BuiltModel
from assay.train.weights import initial_weights, save_weights

WEIGHTS_FILE = "weights.safetensors"


def skeleton_files(
    spec: ModelSpec, exporter: str, opset: int, store: Store, host: Starter, pace: Pace | None = None
) -> ModelFiles:
    """Return the skeleton of a model: its weights, or with an exporter its ONNX file. Made once, for all sizes.

    Args:
        pace: pace of the model itself, to which the limit of the export is proportional.

    Raises:
        AssayError: the route cannot export it.
    """
    skeleton = skeleton_of(spec)
    weights = _weights(skeleton, store).file(WEIGHTS_FILE)
    model = BuiltModel(spec=skeleton, weights=weights)
    if not exporter:
        return ModelFiles(model=model)
    file = _onnx(skeleton, weights, exporter, opset, store, host, pace)
    return ModelFiles(model=model, onnx=file.file(MODEL_FILE), onnx_layout=str(file.manifest.facts["layout"]))


def _weights(spec: ModelSpec, store: Store) -> Artifact:
    inputs: dict[str, JsonValue] = {"spec": spec.to_dict()}

    def fill(work: Path) -> dict[str, JsonValue]:
        save_weights(work / WEIGHTS_FILE, initial_weights(spec, 0))
        return {}

    return store.kept("skeleton weights", inputs, fill, name=f"{spec.architecture}-weights")


def _onnx(
    spec: ModelSpec, weights: Path, exporter: str, opset: int, store: Store, host: Starter, pace: Pace | None
) -> Artifact:
    versions = route_versions(exporter)
    inputs: dict[str, JsonValue] = {
        "spec": spec.to_dict(),
        "exporter": exporter,
        "opset": opset,
        "versions": dict(versions),
    }

    def fill(work: Path) -> dict[str, JsonValue]:
        model = BuiltModel(spec=spec, weights=weights)
        request = RouteRequest(model=model, exporter=exporter, opset=opset, key="", folder=work)
        log = store.folder / "logs" / f"{spec.architecture}-{exporter}.log"
        made = run_job(
            EXPORT,
            request,
            log,
            limit_seconds=Limit(allowed("export", pace), f"The export of an empty {spec.architecture} by {exporter}"),
            host=host,
        )
        return {"layout": made.made_by["layout"]}

    return store.kept("skeleton", inputs, fill, name=f"{spec.architecture}-{exporter}", made_by=versions)
