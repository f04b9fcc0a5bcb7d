"""The record of a deployment: what is served, from which audited model, and what every answer has to be.

A deployment is a folder:

    deployment.json            a `Deployment`
    models/NAME/               a Triton model repository with one model
        config.pbtxt
        labels.txt             one class name a line
        warmup/                raw pixels of real images that the server calls the model with before it is ready
        1/model.onnx           one folder a version; going back to an older one changes `serving` alone
    audited/1/                 one folder a version: what its answers were when it was audited
        probabilities.npy      float32 (images, classes), of the whole test split, in order
        labels.npy             int64 (images,), the true classes
        audit.json             the audit that let it be deployed
        measured.json          the study's cells that its settings and numbers come from
    checksums.sha256           of every file but itself, as `sha256sum --check` reads them
    README.md, kubernetes/, docker/, requests/

The images themselves are not in it: `Deployment.data` names them by their content hash.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from assay.errors import ArtifactError
from assay.records import Interval, Record
from assay.results import DataSummary

DEPLOYMENT_FILE, CHECKSUMS_FILE = "deployment.json", "checksums.sha256"
MODELS, AUDITED = "models", "audited"
AUDIT_COPY, MEASURED_FILE = "audit.json", "measured.json"
MODEL_FILE, CONFIG_FILE, LABELS_FILE = "model.onnx", "config.pbtxt", "labels.txt"
PROBABILITIES_FILE, TRUE_LABELS_FILE = "probabilities.npy", "labels.npy"
SCHEMA_VERSION: Literal[1] = 1
STOCK_TRITON = "25.06"
"""Tag of the stock Triton image, whose onnxruntime (1.22) reads what Assay writes."""


class Tensor(Record):
    """One input or output as the Open Inference Protocol names it.

    Attributes:
        datatype: "UINT8", "FP32" or "INT64".
        shape: without the batch, which comes first and is free up to `Deployment.most_images`. One number an image is
            [1] on the wire: the graph itself gives (batch,), and config.pbtxt says so by a reshape to nothing.
    """

    name: str
    datatype: Literal["UINT8", "FP32", "INT64"]
    shape: list[int]


class Version(Record):
    """One model that is or was served.

    Attributes:
        number: Triton's version, from 1.
        cell: of the study, the measurement that it was chosen by.
        precision: "fp32", "int8", "fp16" or "bf16".
        model_sha256: of its model.onnx.
        weights: key of the weights it came from.
        accuracy: on the test split, in the deployable graph.
        tolerance: largest difference of a probability from the audited one that passes.
        derivation: where the tolerance comes from.
    """

    number: int = Field(ge=1)
    cell: str
    precision: str
    model_sha256: str
    weights: str
    accuracy: Interval
    tolerance: float
    derivation: str
    created: str


class Deployment(Record):
    """A deployment folder's content.

    Attributes:
        name: of the served model.
        serving: the version that answers.
        image: the one input, decoded pixels (height, width, channels).
        outputs: class probabilities, and the index of the most probable one.
        classes: their names, in the order of the probabilities.
        threads: of onnxruntime, as measured; and `instances` how many of the model the server holds.
        most_images: in one request; and `preferred_batches` what the dynamic batcher aims at.
        data: the test split that the audited answers belong to.
    """

    schema_version: Literal[1] = SCHEMA_VERSION
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    serving: int
    versions: list[Version] = Field(min_length=1)
    image: Tensor
    outputs: list[Tensor]
    classes: list[str]
    threads: int = Field(ge=1)
    instances: int = Field(default=1, ge=1)
    most_images: int = Field(ge=1)
    preferred_batches: list[int]
    data: DataSummary

    def version(self, number: int) -> Version:
        """
        Raises:
            ArtifactError: there is none of this number.
        """
        for version in self.versions:
            if version.number == number:
                return version
        known = ", ".join(str(version.number) for version in self.versions)
        raise ArtifactError(f"Deployment {self.name} has no such version", expected=known, found=str(number))


def read_deployment(folder: Path) -> Deployment:
    """Read a folder's deployment.json; `bench.deploy` checks the files beside it.

    Raises:
        ArtifactError: missing, not JSON, or not a record of a deployment.
    """
    path = folder / DEPLOYMENT_FILE
    try:
        found = Deployment.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        first = error.errors()[0] if isinstance(error, ValidationError) else None
        raise ArtifactError(
            f"Cannot read a deployment from {path}",
            expected="a folder written by `assay deploy`",
            found=f"{'.'.join(map(str, first['loc']))}: {first['msg']}" if first else str(error),
        ) from error
    found.version(found.serving)
    return found
