"""The files of a deployment folder that follow from its record and change when another version serves."""

from __future__ import annotations

import functools
import io
import json
import math
import re
from importlib import resources
from pathlib import Path
from typing import cast

import jinja2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import JsonValue

from assay.deployment import (
    AUDITED,
    CONFIG_FILE,
    DEPLOYMENT_FILE,
    LABELS_FILE,
    MEASURED_FILE,
    MODELS,
    PROBABILITIES_FILE,
    STOCK_TRITON,
    TRUE_LABELS_FILE,
    Deployment,
)
from assay.records import Interval
from assay.results import Metrics
from bench.deployment import measured
from bench.deployment.config import WARM_UP, WARM_UP_FILE, config_of, config_text
from bench.deployment.measured import MeasuredVersion
from train.metrics import classification_metrics

PLACES = {
    "README.md": "README.md",
    "inference-service.yaml": "kubernetes/inference-service.yaml",
    "compose.yaml": "docker/compose.yaml",
    "Dockerfile": "docker/Dockerfile",
    "infer.sh": "requests/infer.sh",
    "client.txt": "requests/client.py",
}
SERVER_MEMORY_MIB = 512
"""What Triton itself takes, generously; the model's own peak comes on top."""


def render(folder: Path, deployment: Deployment) -> None:
    """Write the record, the server's configuration, labels, manifests, sample requests and the model card."""
    repository = folder / MODELS / deployment.name
    _write(folder / DEPLOYMENT_FILE, deployment.model_dump_json(indent=1))
    _write(repository / CONFIG_FILE, config_text(config_of(deployment)))
    _write(repository / LABELS_FILE, "".join(f"{name}\n" for name in deployment.classes))
    pixels = np.fromfile(repository / WARM_UP / WARM_UP_FILE, np.uint8).reshape(deployment.image.shape)
    header = request_header(deployment)
    requests = folder / "requests"
    requests.mkdir(exist_ok=True)
    body = json_request(deployment, pixels)
    _write(requests / "image.json", body)
    (requests / "image.bin").write_bytes(header + pixels.tobytes())
    (requests / "image.png").write_bytes(_png(pixels))
    audited = folder / AUDITED / str(deployment.serving)
    known = measured.read(audited / MEASURED_FILE)
    probabilities = np.load(audited / PROBABILITIES_FILE, allow_pickle=False)
    labels = np.load(audited / TRUE_LABELS_FILE, allow_pickle=False)
    words = _words(deployment, known, metrics_of(probabilities, labels, deployment.classes)) | {
        "header_bytes": len(header),
        "binary_share": round(len(body) / (len(header) + pixels.size)),
    }
    for template, place in PLACES.items():
        _write(folder / place, render_template(template, words))


def render_template(name: str, words: dict[str, object]) -> str:
    """One template of `PLACES` with its words filled in; three blank lines or more become one."""
    text = _environment().get_template(name).render(words)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def metrics_of(probabilities: NDArray[np.float32], labels: NDArray[np.int64], classes: list[str]) -> Metrics:
    """Metrics of a version, from its audited probabilities (images, classes)."""
    logits = np.log(np.maximum(probabilities, np.finfo(np.float32).smallest_subnormal))
    return classification_metrics(logits, labels, tuple(classes))


def request_header(deployment: Deployment) -> bytes:
    """The JSON that comes before the raw pixels of one image in a binary request."""
    description: dict[str, JsonValue] = {
        "inputs": [
            {
                "name": deployment.image.name,
                "shape": cast("list[JsonValue]", [1, *deployment.image.shape]),
                "datatype": deployment.image.datatype,
                "parameters": {"binary_data_size": math.prod(deployment.image.shape)},
            }
        ]
    }
    return json.dumps(description, separators=(",", ":")).encode()


def json_request(deployment: Deployment, pixels: NDArray[np.uint8]) -> str:
    """The whole request for one image as JSON."""
    request: dict[str, JsonValue] = {
        "inputs": [
            {
                "name": deployment.image.name,
                "shape": cast("list[JsonValue]", [1, *deployment.image.shape]),
                "datatype": deployment.image.datatype,
                "data": cast("list[JsonValue]", pixels.reshape(-1).tolist()),
            }
        ]
    }
    return json.dumps(request, separators=(",", ":"))


def _words(deployment: Deployment, known: MeasuredVersion, metrics: Metrics) -> dict[str, object]:
    """What the templates speak of."""
    others = [one.number for one in deployment.versions if one.number != deployment.serving]
    machine = known.environment.get("processor")
    peak = max((cell.peak_memory_mib or 0 for cell in known.curve), default=0)
    size, _, channels = deployment.image.shape
    return {
        "deployment": deployment,
        "name": deployment.name,
        "version": deployment.version(deployment.serving),
        "others": ", ".join(f"version {number}" for number in others),
        "others_count": len(others),
        "classes": deployment.classes,
        "size": size,
        "channels": channels,
        "mode": "RGB" if channels == 3 else "L",
        "metrics": metrics,
        "measured": known,
        "export": known.export,
        "training": known.training,
        "architecture": known.export.architecture,
        "parameters": f"{known.export.parameters:,}",
        "processor": machine if isinstance(machine, str) else "a machine that did not say its processor",
        "cores": deployment.threads * deployment.instances,
        "memory_mib": SERVER_MEMORY_MIB + deployment.instances * math.ceil(peak),
        "triton": STOCK_TRITON,
        "percent": _percent,
        "decimals": _decimals,
        "rounded": _rounded,
    }


def _percent(interval: Interval) -> str:
    return f"{interval.value:.2%} ({interval.low:.2%} to {interval.high:.2%})"


def _decimals(interval: Interval) -> str:
    return f"{interval.value:.4g} ({interval.low:.4g} to {interval.high:.4g})"


def _rounded(interval: Interval) -> str:
    return f"{interval.value:,.0f} ({interval.low:,.0f} to {interval.high:,.0f})"


def _png(pixels: NDArray[np.uint8]) -> bytes:
    image = Image.fromarray(pixels if pixels.shape[-1] == 3 else pixels[..., 0])
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


@functools.cache
def _environment() -> jinja2.Environment:
    """Templates of plain text: nothing is escaped, and an unknown word is an error."""
    folder = resources.files("bench.deployment") / "templates"
    texts = {name: (folder / name).read_text(encoding="utf-8") for name in PLACES}
    return jinja2.Environment(  # noqa: S701  not a page: Markdown, YAML and scripts from our own words
        loader=jinja2.DictLoader(texts), undefined=jinja2.StrictUndefined, keep_trailing_newline=True
    )


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
