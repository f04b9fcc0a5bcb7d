"""Every path that belongs to a deployment, from its record: a closed list."""

from __future__ import annotations

from pathlib import PurePosixPath

from assay.bench.deployment.config import WARM_UP, warm_up_files
from assay.records.deployment import (
    AUDIT_COPY,
    AUDITED,
    CHECKSUMS_FILE,
    CONFIG_FILE,
    DEPLOYMENT_FILE,
    INPUTS_FILE,
    LABELS_FILE,
    MEASURED_FILE,
    MODELS,
    OUTPUTS_FILE,
    PYTHON_BACKEND,
    SIGNATURE_FILE,
    TRUE_LABELS_FILE,
    Deployment,
    served_by,
)

REQUESTS = "requests"
PLACES = {
    "README.md": "README.md",
    "inference-service.yaml": "kubernetes/inference-service.yaml",
    "compose.yaml": "docker/compose.yaml",
    "Dockerfile": "docker/Dockerfile",
    "infer.sh": f"{REQUESTS}/infer.sh",
}
"""The place of each template's text; the client's template depends on what a request is about."""
PYTHON_PLACES = {"requirements.txt": "docker/requirements.txt"}
"""The places of further texts where Triton's Python backend runs the model."""
MODEL_SERVER_PLACES = {
    "openvino-model-server.json": "openvino-model-server/config.json",
    "openvino-model-server.yaml": "openvino-model-server/compose.yaml",
}
"""The places of further texts where OpenVINO Model Server also runs it."""
CLIENT, SERVED_FILE = f"{REQUESTS}/client.py", f"{REQUESTS}/model.json"
"""The client, and what it has to know about the model: names are data for it, never part of its text."""
MODEL_PROGRAM = "assay.infer.server.opened.in_triton"
OPENER_FILE = "open_model.py"
UNRENDERED = frozenset({CHECKSUMS_FILE, SIGNATURE_FILE})


def model_folder(deployment: Deployment) -> str:
    """Return the folder of the one model in the repository."""
    return f"{MODELS}/{deployment.name}"


def config_file(deployment: Deployment) -> str:
    """Return the path of Triton's configuration in a deployment folder."""
    return f"{model_folder(deployment)}/{CONFIG_FILE}"


def labels_file(deployment: Deployment) -> str:
    """Return the file with the labels of a model that classifies."""
    return f"{model_folder(deployment)}/{LABELS_FILE}"


def model_file(deployment: Deployment, number: int) -> str:
    """Return the path of the served file of one version in a deployment folder."""
    return f"{model_folder(deployment)}/{number}/{served_by(deployment.version(number).runtime).file}"


def files_beside(deployment: Deployment, number: int) -> dict[str, str]:
    """Return the hashes of the other files of a version's model, by path below the deployment's folder."""
    folder = f"{model_folder(deployment)}/{number}"
    return {f"{folder}/{name}": sha256 for name, sha256 in deployment.version(number).files.items()}


def programs_of(deployment: Deployment, number: int) -> dict[str, str]:
    """Return the modules with which Triton's Python backend runs a version, by path below the deployment's folder."""
    served = served_by(deployment.version(number).runtime)
    if served.backend != PYTHON_BACKEND:
        return {}
    folder = f"{model_folder(deployment)}/{number}"
    return {f"{folder}/model.py": MODEL_PROGRAM, f"{folder}/{OPENER_FILE}": served.opener}


def warm_up_paths(deployment: Deployment) -> dict[str, str]:
    """Return the file that the server warms up with, by input."""
    return {name: f"{model_folder(deployment)}/{WARM_UP}/{file}" for name, file in warm_up_files(deployment).items()}


def sample_request(deployment: Deployment, ending: str) -> str:
    """Return the path of a request about the record that the server warms up with: "json" or "bin"."""
    return f"{REQUESTS}/{deployment.unit}.{ending}"


def places_of(deployment: Deployment) -> dict[str, str]:
    """Return the place of each template's text, for the version that serves."""
    served = served_by(deployment.version(deployment.serving).runtime)
    found = PLACES | (PYTHON_PLACES if served.backend == PYTHON_BACKEND else {})
    return found | (MODEL_SERVER_PLACES if served.model_server else {})


def kept_files(deployment: Deployment) -> list[str]:
    """Return the files that do not follow from the record but are tied to it: models, and what they were audited and
    measured on.
    """
    audited = [OUTPUTS_FILE, AUDIT_COPY, MEASURED_FILE]
    audited += [INPUTS_FILE] if deployment.unit == "record" else []
    audited += [TRUE_LABELS_FILE] if deployment.classes else []
    numbers = [version.number for version in deployment.versions]
    return [
        *warm_up_paths(deployment).values(),
        *(model_file(deployment, number) for number in numbers),
        *(path for number in numbers for path in files_beside(deployment, number)),
        *(f"{AUDITED}/{number}/{name}" for number in numbers for name in audited),
    ]


def _rendered_files(deployment: Deployment) -> list[str]:
    """Return the files that follow from the record and the kept files; `assay.bench.deployment.render` makes exactly
    these.
    """
    pictures = [f"{REQUESTS}/image.png"] if deployment.unit == "image" else []
    return [
        DEPLOYMENT_FILE,
        config_file(deployment),
        *([labels_file(deployment)] if deployment.classes else []),
        *(sample_request(deployment, ending) for ending in ("json", "bin")),
        *pictures,
        *places_of(deployment).values(),
        *(path for version in deployment.versions for path in programs_of(deployment, version.number)),
        CLIENT,
        *([SERVED_FILE] if deployment.rendering > 1 else []),
    ]


def files_of_deployment(deployment: Deployment) -> frozenset[str]:
    """Return every file that belongs, by its path below the folder; the signature may be missing."""
    return frozenset(kept_files(deployment)) | frozenset(_rendered_files(deployment)) | UNRENDERED


def folders_of_deployment(deployment: Deployment) -> frozenset[str]:
    """Return every folder that belongs, by its path below the deployment's folder."""
    return frozenset(
        parent.as_posix()
        for file in files_of_deployment(deployment)
        for parent in PurePosixPath(file).parents
        if parent.as_posix() != "."
    )
