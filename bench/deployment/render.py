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
    OUTPUTS_FILE,
    STOCK_TRITON,
    TRUE_LABELS_FILE,
    Deployment,
    Unit,
)
from assay.errors import ArtifactError
from assay.records import Interval
from assay.results import Metrics
from assay.served import Array
from assay.texts import markdown, markdown_code
from bench.deployment import measured
from bench.deployment.config import WARM_UP, config_of, config_text, warm_up_files
from bench.deployment.measured import MeasuredVersion
from train.metrics import classification_metrics

PLACES = {
    "README.md": "README.md",
    "inference-service.yaml": "kubernetes/inference-service.yaml",
    "compose.yaml": "docker/compose.yaml",
    "Dockerfile": "docker/Dockerfile",
    "infer.sh": "requests/infer.sh",
}
CLIENTS: dict[Unit, str] = {"image": "client.txt", "record": "client-of-records.txt"}
"""By what a request is about, requests/client.py: the same program for every model of its kind."""
CLIENT, SERVED_FILE = "requests/client.py", "requests/model.json"
"""The client, and what it has to know of the model: names are data for it, never part of its text."""
PLAIN_WORD = re.compile(r"[A-Za-z0-9._:/-]*")
SERVER_MEMORY_MIB = 512
"""What Triton itself takes, generously; the model's own peak comes on top."""


def render(folder: Path, deployment: Deployment) -> None:
    """Write the record, the server's configuration, labels, manifests, sample requests and the model card."""
    repository = folder / MODELS / deployment.name
    _write(folder / DEPLOYMENT_FILE, deployment.model_dump_json(indent=1))
    _write(repository / CONFIG_FILE, config_text(config_of(deployment)))
    if deployment.classes:
        _write(repository / LABELS_FILE, "".join(f"{name}\n" for name in deployment.classes))
    arrays = read_record(repository / WARM_UP, deployment)
    header = request_header(deployment, arrays)
    requests = folder / "requests"
    requests.mkdir(exist_ok=True)
    body = json_request(deployment, arrays)
    raw = b"".join(array.tobytes() for array in arrays.values())
    _write(requests / f"{deployment.unit}.json", body)
    (requests / f"{deployment.unit}.bin").write_bytes(header + raw)
    if deployment.unit == "image":
        (requests / "image.png").write_bytes(_png(cast("NDArray[np.uint8]", next(iter(arrays.values())))))
    audited = folder / AUDITED / str(deployment.serving)
    words = _words(deployment, measured.read(audited / MEASURED_FILE), _metrics(audited, deployment)) | {
        "header_bytes": len(header),
        "binary_share": round(len(body) / (len(header) + len(raw))),
    }
    for template, place in PLACES.items():
        _write(folder / place, render_template(template, words))
    _write(folder / CLIENT, _template(CLIENTS[deployment.unit]))
    _write(folder / SERVED_FILE, json.dumps(_served(deployment), indent=1) + "\n")


def render_template(name: str, words: dict[str, object]) -> str:
    """One template with its words filled in; three blank lines or more become one.

    Raises:
        ArtifactError: a word of the record is none that may stand in such a file.
    """
    text = _environment(is_markdown=name.endswith(".md")).get_template(name).render(words)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def read_record(folder: Path, deployment: Deployment) -> dict[str, Array]:
    """The record that the server warms up with, by input, in the shape of one record."""
    files = warm_up_files(deployment)
    return {one.name: np.fromfile(folder / files[one.name], one.dtype).reshape(one.shape) for one in deployment.inputs}


def _metrics(audited: Path, deployment: Deployment) -> Metrics | None:
    """Metrics of a version, from its audited probabilities (images, classes); None where there are no labels."""
    if not deployment.classes:
        return None
    labels = np.load(audited / TRUE_LABELS_FILE, allow_pickle=False)
    probabilities = np.load(audited / OUTPUTS_FILE, allow_pickle=False)[deployment.outputs[0].name]
    logits = np.log(np.maximum(probabilities, np.finfo(np.float32).smallest_subnormal))
    return classification_metrics(logits, labels, tuple(deployment.classes))


def request_header(deployment: Deployment, arrays: dict[str, Array]) -> bytes:
    """The JSON that comes before the raw inputs of one record in a binary request."""
    more: dict[str, dict[str, JsonValue]] = {
        name: {"parameters": {"binary_data_size": array.nbytes}} for name, array in arrays.items()
    }
    return _request(deployment, more).encode()


def json_request(deployment: Deployment, arrays: dict[str, Array]) -> str:
    """The whole request for one record as JSON."""
    return _request(deployment, {name: {"data": array.reshape(-1).tolist()} for name, array in arrays.items()})


def _request(deployment: Deployment, more: dict[str, dict[str, JsonValue]]) -> str:
    """A request for one record, with what else is to be said of each input."""
    inputs: list[JsonValue] = []
    for one in deployment.inputs:
        shape: list[JsonValue] = [*([1] if deployment.most_records else []), *one.wire_shape]
        inputs.append({"name": one.name, "shape": shape, "datatype": one.datatype, **more[one.name]})
    return json.dumps({"inputs": inputs}, separators=(",", ":"))


def _words(deployment: Deployment, known: MeasuredVersion, metrics: Metrics | None) -> dict[str, object]:
    """What the templates speak of."""
    others = [one.number for one in deployment.versions if one.number != deployment.serving]
    machine = known.environment.get("processor")
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
        "classes": deployment.classes,
        "size": size,
        "channels": channels,
        "metrics": metrics,
        "measured": known,
        "export": known.export,
        "training": known.training,
        "architecture": known.export.architecture,
        "parameters": f"{known.export.parameters:,}",
        "processor": machine if isinstance(machine, str) else "a machine that did not say its processor",
        "cores": deployment.cores,
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


class Written(str):
    """Text that is already written as its format wants it."""

    __slots__ = ()


@functools.cache
def _environment(*, is_markdown: bool) -> jinja2.Environment:
    """Templates of plain text; an unknown word is an error.

    What they fill in is data: in Markdown it is escaped, and everywhere else a text has to be a plain word, unless a
    filter has written it as the format wants it.
    """
    made = jinja2.Environment(  # noqa: S701  not a page: Markdown, YAML and scripts, each with its own rule
        loader=jinja2.DictLoader({name: _template(name) for name in PLACES}),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        finalize=_in_markdown if is_markdown else _plain,
    )
    made.filters |= {"code": _as_code, "plain": _plain, "quoted": _quoted}
    return made


def _template(name: str) -> str:
    return (resources.files("bench.deployment") / "templates" / name).read_text(encoding="utf-8")


def _in_markdown(value: object) -> object:
    return value if isinstance(value, Written) or not isinstance(value, str) else Written(markdown(value))


def _as_code(text: str) -> Written:
    return Written(markdown_code(text))


def _quoted(text: str) -> Written:
    """A text in YAML, which reads JSON's strings."""
    return Written(json.dumps(text))


def _plain(value: object) -> object:
    """
    Raises:
        ArtifactError: it is a text with anything in it that a shell, YAML or a Dockerfile could take for its own.
    """
    if isinstance(value, Written) or not isinstance(value, str) or PLAIN_WORD.fullmatch(value):
        return Written(value) if isinstance(value, str) else value
    raise ArtifactError(
        "A deployment's record has a word that may not stand in its files",
        expected="letters, digits and ._:/-",
        found=ascii(value[:100]),
    )


def _served(deployment: Deployment) -> dict[str, JsonValue]:
    """What the client has to know."""
    inputs: list[JsonValue] = [
        {"name": one.name, "dtype": one.dtype, "shape": list(one.wire_shape)} for one in deployment.inputs
    ]
    return {
        "name": deployment.name,
        "inputs": inputs,
        "outputs": [one.name for one in deployment.outputs],
        "classes": list(deployment.classes),
    }


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
