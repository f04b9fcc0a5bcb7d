"""The record of a deployment: what is served, from which audited model, and what every answer has to be.

A deployment is a folder:

    deployment.json            a `Deployment`
    models/NAME/               a Triton model repository with one model
        config.pbtxt
        labels.txt             one class name a line, of a model that classifies
        warmup/                raw inputs of a real record that the server calls the model with before it is ready
        1/model.onnx           one folder a version; going back to an older one changes `serving` alone
    audited/1/                 one folder a version: what its answers were when it was audited
        outputs.npy            the answers, records (see `assay.served`) in the order of what was asked
        inputs.npy             what was asked, where it is not the test split of a data set
        labels.npy             int64 (records,), the true classes, of a model that classifies
        audit.json             the audit that let it be deployed
        measured.json          the cells that its settings and numbers come from
    checksums.sha256           of every file but itself, as `sha256sum --check` reads them
    README.md, kubernetes/, docker/
    requests/                  samples, and a client that is the same for every model: requests/model.json names things

A data set's images are not in it: `Deployment.data` names them by their content hash.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, ValidationError, model_validator

from assay.errors import ArtifactError
from assay.records import Interval, Record
from assay.results import DataSummary
from assay.served import Tensor

DEPLOYMENT_FILE, CHECKSUMS_FILE = "deployment.json", "checksums.sha256"
MODELS, AUDITED = "models", "audited"
AUDIT_COPY, MEASURED_FILE = "audit.json", "measured.json"
MODEL_FILE, CONFIG_FILE, LABELS_FILE = "model.onnx", "config.pbtxt", "labels.txt"
INPUTS_FILE, OUTPUTS_FILE, TRUE_LABELS_FILE = "inputs.npy", "outputs.npy", "labels.npy"
SCHEMA_VERSION: Literal[1] = 1
STOCK_TRITON = "25.06"
"""Tag of the stock Triton image, whose onnxruntime (1.22) reads what Assay writes."""

Unit = Literal["image", "record"]


class Tolerance(Record):
    """How far any number of an output may be from the audited one, and where that comes from."""

    value: float
    derivation: str


class Version(Record):
    """One model that is or was served.

    Attributes:
        number: Triton's version, from 1.
        cell: the measurement that it was chosen by.
        precision: "fp32", "int8", "fp16" or "bf16".
        model_sha256: of its model.onnx.
        weights: key of the weights it came from, or fingerprint of the user's model.
        accuracy: on the audited records; None where nobody knows what is right.
        tolerances: by output; one that is an index is judged by the output that it is an index of.
    """

    number: int = Field(ge=1)
    cell: str
    precision: str
    model_sha256: str
    weights: str
    accuracy: Interval | None
    tolerances: dict[str, Tolerance]
    created: str


class Deployment(Record):
    """A deployment folder's content.

    Attributes:
        name: of the served model.
        serving: the version that answers.
        unit: what a record is to its reader: an image, decoded, that gets one of `classes`, or just a record.
        classes: their names, in the order of the first output.
        threads: of onnxruntime, as measured; and `instances` how many of the model the server holds.
        most_records: in one request; and `preferred_batches` what the dynamic batcher aims at. 0 where a request is
            one record, without a batch around it.
        data: that the audited answers belong to.
    """

    schema_version: Literal[1] = SCHEMA_VERSION
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    serving: int
    versions: list[Version] = Field(min_length=1)
    unit: Unit
    inputs: list[Tensor] = Field(min_length=1)
    outputs: list[Tensor] = Field(min_length=1)
    classes: list[str]
    threads: int = Field(ge=1)
    instances: int = Field(default=1, ge=1)
    most_records: int = Field(ge=0)
    preferred_batches: list[int]
    data: DataSummary

    @model_validator(mode="after")
    def _every_output_is_judged(self) -> Self:
        for version in self.versions:
            for tensor in self.outputs:
                if (tensor.index_of or tensor.name) not in version.tolerances:
                    raise ValueError(f"version {version.number} has no tolerance for the output {tensor.name}")
        return self

    @property
    def cores(self) -> int:
        """How many processor cores the server gets: one for every thread that runs a model."""
        return self.threads * self.instances

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

    def allowed(self, version: Version) -> dict[str, float]:
        """By output, the largest error of `assay.served.errors_of` that passes."""
        return {
            one.name: 2 * version.tolerances[one.index_of].value if one.index_of else version.tolerances[one.name].value
            for one in self.outputs
        }


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
