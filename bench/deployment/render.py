"""The files of a deployment folder that follow from its record and change when another version serves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
from pydantic import JsonValue

from assay.bench.deployment import measured
from assay.bench.deployment.answered import read_array
from assay.bench.deployment.checking.contents import (
    CLIENT,
    REQUESTS,
    SERVED_FILE,
    config_file,
    files_of_deployment,
    folders_of_deployment,
    labels_file,
    places_of,
    programs_of,
    sample_request,
    warm_up_paths,
)
from assay.bench.deployment.config import config_of, config_text
from assay.bench.deployment.measured import MeasuredVersion
from assay.bench.deployment.picture import png_of
from assay.bench.deployment.serving_limits import memory_mib, most_threads, stock_arguments
from assay.bench.deployment.templating import Written, render_template, template
from assay.fingerprint import fingerprint_in
from assay.numerics.judgement import Judgement
from assay.numerics.served import Array
from assay.numerics.values import of_type
from assay.records.base import Interval, Tail
from assay.records.deployment import (
    AUDITED,
    CUDA_DRIVER,
    DEPLOYMENT_FILE,
    MEASURED_FILE,
    OUTPUTS_FILE,
    RENDERING,
    STOCK_CUDA,
    STOCK_TRITON,
    TRUE_LABELS_FILE,
    Deployment,
    Unit,
    Version,
    served_by,
    served_runtime,
)
from assay.records.trainings import Metrics
from assay.train.metrics import classification_metrics

CLIENTS: dict[Unit, str] = {"image": "client.txt", "record": "client-of-records.txt"}
"""The template of requests/client.py by what a request is about: the same program for every model of its kind."""
TRITONS = {1: "25.06", RENDERING: STOCK_TRITON}
"""The tag of the stock image that each rendering names."""


@dataclass(frozen=True)
class RenderingInputs:
    """The data that a rendering needs besides the record, for the version that serves.

    Attributes:
        warm_up: the record that the server warms up with, by input, in the shape of one record.
        metrics: metrics from the audited answers; None without labels.
    """

    warm_up: dict[str, Array]
    measured: MeasuredVersion
    metrics: Metrics | None


def read_kept(folder: Path, deployment: Deployment) -> RenderingInputs:
    """
    Raises:
        ArtifactError: a file is missing or damaged.
    """
    audited = folder / AUDITED / str(deployment.serving)
    return RenderingInputs(
        warm_up=_read_warm_up(folder, deployment),
        measured=measured.read(audited / MEASURED_FILE),
        metrics=_metrics(audited, deployment),
    )


def render(folder: Path, deployment: Deployment) -> None:
    """Write everything that follows from the record in its present form, and remove files that do not belong to it.

    A deployment's other files (`assay.bench.deployment.checking.contents.kept_files`) must exist.
    """
    belonging = files_of_deployment(deployment)
    for path in [path for path in folder.rglob("*") if not path.is_dir()]:
        if path.relative_to(folder).as_posix() not in belonging:
            path.unlink()
    for path in sorted((path for path in folder.rglob("*") if path.is_dir()), reverse=True):
        if path.relative_to(folder).as_posix() not in folders_of_deployment(deployment):
            path.rmdir()
    for name, content in rendered(deployment, read_kept(folder, deployment)).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def rendered(deployment: Deployment, kept: RenderingInputs) -> dict[str, bytes]:
    """Return the files that follow from a deployment's record, by path: written by `render`, compared by `check`.

    They are the record, the server's configuration, labels, sample requests, manifests, client and model card, in the
    form of the record's rendering.
    """
    found = server_files(deployment) | {DEPLOYMENT_FILE: deployment.model_dump_json(indent=1).encode()}
    header = _request_header(deployment, kept.warm_up)
    raw = b"".join(array.tobytes() for array in kept.warm_up.values())
    body = json_request(deployment, kept.warm_up).encode()
    found |= {sample_request(deployment, "json"): body, sample_request(deployment, "bin"): header + raw}
    if deployment.unit == "image":
        pixels = of_type(next(iter(kept.warm_up.values())), np.uint8)
        found[f"{REQUESTS}/image.png"] = png_of(pixels)
    words = _words(deployment, kept) | {
        "header_bytes": len(header),
        "binary_share": round(len(body) / (len(header) + len(raw))),
    }
    for name, place in places_of(deployment).items():
        found[place] = render_template(name, words, deployment.rendering).encode()
    for version in deployment.versions:
        found |= _programs(deployment, version.number)
    client = CLIENTS[deployment.unit]
    if deployment.rendering == 1:  # its client had the names in its text
        return found | {CLIENT: render_template(client, words, deployment.rendering).encode()}
    described = json.dumps(_served(deployment), indent=1) + "\n"
    return found | {CLIENT: template(client).encode(), SERVED_FILE: described.encode()}


def server_files(deployment: Deployment) -> dict[str, bytes]:
    """Return the part of `rendered` that the server reads: apart from the model itself, nothing that it reads is taken
    from a folder.
    """
    found = _programs(deployment, deployment.serving)
    found |= {config_file(deployment): config_text(config_of(deployment)).encode()}
    if deployment.classes:
        found[labels_file(deployment)] = "".join(f"{name}\n" for name in deployment.classes).encode()
    return found


def _programs(deployment: Deployment, number: int) -> dict[str, bytes]:
    """Return the programs with which Triton's Python backend runs a version."""
    found = {}
    for place, module in programs_of(deployment, number).items():
        package, _, name = module.rpartition(".")
        found[place] = (resources.files(package) / f"{name}.py").read_bytes()
    return found


def _read_warm_up(folder: Path, deployment: Deployment) -> dict[str, Array]:
    """Read the record that the server warms up with."""
    paths = warm_up_paths(deployment)
    return {one.name: np.fromfile(folder / paths[one.name], one.dtype).reshape(one.shape) for one in deployment.inputs}


def _metrics(audited: Path, deployment: Deployment) -> Metrics | None:
    """Return the metrics of a version, from its audited probabilities (images, classes); None where there are no
    labels.
    """
    if not deployment.classes:
        return None
    labels = read_array(audited / TRUE_LABELS_FILE)
    probabilities = read_array(audited / OUTPUTS_FILE)[deployment.outputs[0].name]
    logits = np.log(np.maximum(probabilities, np.finfo(np.float32).smallest_subnormal))
    return classification_metrics(logits, labels, tuple(deployment.classes))


def _judgement_of(known: MeasuredVersion, version: Version) -> Judgement | None:
    """Return the judgement of the version's answers to a user's records; None without labels."""
    found = next((cell.judgement for cell in known.curve if cell.name == version.cell), None)
    return found if found and found.qualities else None


def _request_header(deployment: Deployment, arrays: dict[str, Array]) -> bytes:
    """Return the JSON that comes before the raw inputs of one record in a binary request."""
    more: dict[str, dict[str, JsonValue]] = {
        name: {"parameters": {"binary_data_size": array.nbytes}} for name, array in arrays.items()
    }
    return _request(deployment, more).encode()


def json_request(deployment: Deployment, arrays: dict[str, Array]) -> str:
    """Return the whole request for one record as JSON."""
    return _request(deployment, {name: {"data": array.reshape(-1).tolist()} for name, array in arrays.items()})


def _request(deployment: Deployment, more: dict[str, dict[str, JsonValue]]) -> str:
    """Return a request for one record, with further facts about each input."""
    inputs: list[JsonValue] = []
    for one in deployment.inputs:
        shape: list[JsonValue] = [*([1] if deployment.most_records else []), *one.wire_shape]
        inputs.append({"name": one.name, "shape": shape, "datatype": one.datatype, **more[one.name]})
    return json.dumps({"inputs": inputs}, separators=(",", ":"))


def _words(deployment: Deployment, kept: RenderingInputs) -> dict[str, object]:
    """Return the words that the templates use."""
    known = kept.measured
    others = [one.number for one in deployment.versions if one.number != deployment.serving]
    machine = fingerprint_in(known.environment).words if known.environment.get("processor") else None
    peak = max((cell.peak_memory_mib or 0 for cell in known.curve), default=0)
    size, _, channels = deployment.inputs[0].shape if deployment.unit == "image" else (0, 0, 0)
    return {
        "deployment": deployment,
        "unit": deployment.unit,
        "batch": f"{deployment.unit}s, " if deployment.most_records else "",
        "name": deployment.name,
        "version": deployment.version(deployment.serving),
        "others": ", ".join(f"version {number}" for number in others),
        "others_count": len(others),
        "outputs": [one.name for one in deployment.outputs],
        "classes": deployment.classes,
        "size": size,
        "channels": channels,
        "mode": "RGB" if channels == 3 else "L",
        "metrics": kept.metrics,
        "judged": _judgement_of(known, deployment.version(deployment.serving)),
        "measured": known,
        "export": known.export,
        "training": known.training,
        "architecture": known.export.architecture if known.export else known.curve[0].architecture,
        "parameters": f"{known.export.parameters:,}" if known.export else "",
        "runtime": served_runtime(deployment.version(deployment.serving).runtime),
        "served": served_by(deployment.version(deployment.serving).runtime),
        "model_server": _model_server(deployment),
        "requirements": _requirements(deployment, known),
        "processor": machine if isinstance(machine, str) else "a machine with an unknown processor",
        "cores": deployment.cores,
        "memory_mib": memory_mib(deployment, peak),
        "triton": TRITONS[deployment.rendering],
        "cuda": STOCK_CUDA,
        "driver": CUDA_DRIVER,
        "gpus": known.environment.get("gpus") or [],
        "arguments": stock_arguments(deployment),
        "most_threads": most_threads(deployment),
        "percent": _percent,
        "decimals": _decimals,
        "rounded": _rounded,
    }


def _model_server(deployment: Deployment) -> Written:
    """Return the settings of OpenVINO Model Server as JSON."""
    options = served_by(deployment.version(deployment.serving).runtime).model_server
    return Written(json.dumps({name: value.format(threads=deployment.threads) for name, value in options.items()}))


def _requirements(deployment: Deployment, known: MeasuredVersion) -> list[str]:
    """Return the packages that a stock server needs for its Python backend, in the versions that were measured."""
    found = known.environment.get("packages")
    versions: Mapping[str, JsonValue] = found if isinstance(found, Mapping) else {}
    packages = served_by(deployment.version(deployment.serving).runtime).packages
    return [f"{name}=={str(versions[name]).partition('+')[0]}" for name in packages if name in versions]


def _percent(interval: Interval) -> str:
    return f"{interval.value:.2%} ({interval.low:.2%} to {interval.high:.2%})"


def _decimals(interval: Interval | Tail) -> str:
    """Show a number with its interval; for a percentile that the calls were too few to bound, "or more"."""
    if interval.high is None:
        return f"{interval.value:.4g} or more"
    return f"{interval.value:.4g} ({interval.low:.4g} to {interval.high:.4g})"


def _rounded(interval: Interval) -> str:
    return f"{interval.value:,.0f} ({interval.low:,.0f} to {interval.high:,.0f})"


def _served(deployment: Deployment) -> dict[str, JsonValue]:
    """Return what the client has to know."""
    inputs: list[JsonValue] = [
        {"name": one.name, "dtype": one.dtype, "shape": list(one.wire_shape)} for one in deployment.inputs
    ]
    return {
        "name": deployment.name,
        "inputs": inputs,
        "outputs": [one.name for one in deployment.outputs],
        "classes": list(deployment.classes),
    }
