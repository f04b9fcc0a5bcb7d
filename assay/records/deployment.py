"""The record of a deployment: the served model, the audited model it came from, and the answers it must give.

A deployment is a folder:

    deployment.json            a `Deployment`
    models/NAME/               a Triton model repository with one model
        config.pbtxt
        labels.txt             one class name a line, of a model that classifies
        warmup/                raw inputs of a real record that the server calls the model with before it is ready
        1/model.onnx           one folder a version; going back to an older one changes `serving` alone. The name is
                               that of `assay.runtimes.entry.ServedBy.file`
        1/model.py             where Triton's Python backend runs it, and open_model.py, which opens it
    audited/1/                 one folder a version: what its answers were when it was audited
        outputs.npy            the answers, records (see `assay.numerics.served`) in the order of what was asked
        inputs.npy             what was asked, where it is not the test split of a data set
        labels.npy             int64 (records,), the true classes, of a model that classifies
        audit.json             the audit that let it be deployed
        measured.json          the cells that its settings and numbers come from
    checksums.sha256           of every file but itself and its signature, as `sha256sum --check` reads them
    checksums.sha256.sig       the signature of the checksums, where the deployment was signed
    README.md, kubernetes/, docker/
    requests/                  samples, and a client that is the same for every model: requests/model.json names things

A data set's images are not in it: `Deployment.data` names them by their content hash. Nothing else belongs to it:
`assay.bench.deployment.checking.contents` lists every path, and whatever follows from the record is rendered again to
check it.
"""

from __future__ import annotations

import math
import operator
import re
from pathlib import Path
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator
from pydantic_core import to_json

from assay.errors import ArtifactError
from assay.files.mistakes import mistake_in
from assay.files.texts import read_json
from assay.numerics.served import ServedTensor
from assay.records.base import ONCE, Interval, OfMeasure, Record
from assay.records.results import DataSummary
from assay.registry import RUNTIMES
from assay.runtimes.entry import RuntimeEntry, ServedBy

DEPLOYMENT_FILE, CHECKSUMS_FILE = "deployment.json", "checksums.sha256"
SIGNATURE_FILE = f"{CHECKSUMS_FILE}.sig"
MODELS, AUDITED = "models", "audited"
AUDIT_COPY, MEASURED_FILE = "audit.json", "measured.json"
CONFIG_FILE, LABELS_FILE = "config.pbtxt", "labels.txt"
INPUTS_FILE, OUTPUTS_FILE, TRUE_LABELS_FILE = "inputs.npy", "outputs.npy", "labels.npy"
FIRST_BACKEND, PYTHON_BACKEND = "onnxruntime", "python"
"""Backends of Triton: an older Assay deployed only the first; the second runs a program of the deployment's own."""
SCHEMA_VERSION: Literal[1] = 1
RENDERING = 2
"""Number of the form in which Assay writes what follows from a record: manifests, client, card, configuration. A change
of that form, except of words in one template that nobody has deployed yet, is a new number; templates of older forms
stay in `bench/deployment/templates/rendering-N`, so that older deployments are still compared byte for byte.
"""
STOCK_TRITON, STOCK_CUDA, CUDA_DRIVER = "26.10", "13.4", "580"
"""Tag of the stock Triton image, the newest when this was released; the CUDA that it has, by its release notes; and the
oldest branch of NVIDIA's driver that CUDA 13 runs with.

docs/reference/serving.md lists the flaws that it fixes. Its onnxruntime is newer than that of 26.08, 1.28, and reads
the files that Assay writes, which need 1.22.
"""
MOST_BYTES = 2**30
"""The most bytes that a record's inputs, or its outputs, may take: NumPy's records hold 2 GiB, and so does a gRPC
request.
"""
MOST = 10**6
"""The largest number of anything that is counted: threads, instances, records, versions."""
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

FilePath = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$")]
"""The path of a file below a folder, in which no part begins with a dot."""

Unit = Literal["image", "record"]


class ServedTolerance(Record):
    """How far any number of an output may be from the audited one, and how that was derived.

    Attributes:
        value: largest distance that passes.
        derivation: how it came about, in words.
    """

    value: float = Field(ge=0, allow_inf_nan=False)
    derivation: str


class Version(OfMeasure):
    """One model that is or was served.

    Attributes:
        number: Triton's version, from 1.
        cell: the measured cell that it was chosen by.
        precision: "fp32", "tf32", "int8", "fp16" or "bf16".
        runtime: the runtime that was measured and serves it; "" for ONNX Runtime, the only one that an older Assay
            deployed.
        model_sha256: sha256 of its model's file.
        files: sha256 of the model's other files, by path below the version's folder.
        audited_sha256: sha256 that the audit names, of the served file or of what it was made from: an export, neutral
            weights, or the fingerprint of a user's model; "" in a deployment of an older Assay.
        weights: key of the weights that it came from, or fingerprint of the user's model.
        quality: quality of the audited answers, by the `measure` of their task; None without labels.
        tolerances: tolerance of each output; an index is judged by the output that it points into.
        measure: the name of the quality.
        created: UTC, ISO 8601.
    """

    number: int = Field(ge=1, le=MOST)
    cell: str
    precision: str
    runtime: str = Field(default="", exclude_if=operator.not_)
    model_sha256: Sha256
    files: dict[FilePath, Sha256] = Field(default_factory=dict, exclude_if=operator.not_)
    audited_sha256: Sha256 | Literal[""] = ""
    weights: str
    quality: Interval | None
    measure: str = ONCE
    tolerances: dict[str, ServedTolerance]
    created: str


class Deployment(Record):
    """The content of a deployment folder.

    Attributes:
        name: name of the served model.
        serving: the version that answers.
        unit: meaning of a record: a decoded image, which gets one of `classes`, or just a record.
        classes: names of the classes, in the order of the first output.
        threads: number of the runtime's threads, as measured; `instances` is how many of the model the server holds.
        most_records: most records in one request; `preferred_batches` are the dynamic batcher's aims. 0 where a request
            is one record, without a batch around it.
        data: the data that the audited answers belong to.
        rendering: the form of the files that follow from this record; see `RENDERING`.
        warm_up: sha256 of each file that the server warms up with; empty in a deployment by an older Assay.
        schema_version: version of this form of record.
        versions: every model that is or was served.
        inputs, outputs: name, type and shape of each, as the server has them.
        instances: how many of the model the server holds.
        preferred_batches: sizes that the dynamic batcher aims at.
    """

    schema_version: Literal[1] = SCHEMA_VERSION
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    serving: int
    versions: list[Version] = Field(min_length=1)
    unit: Unit
    inputs: list[ServedTensor] = Field(min_length=1)
    outputs: list[ServedTensor] = Field(min_length=1)
    classes: list[str]
    threads: int = Field(ge=1, le=MOST)
    instances: int = Field(default=1, ge=1, le=MOST)
    most_records: int = Field(ge=0, le=MOST)
    preferred_batches: list[Annotated[int, Field(ge=1, le=MOST)]]
    data: DataSummary
    rendering: int = Field(default=1, ge=1)
    warm_up: dict[str, Sha256] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _every_output_is_judged(self) -> Self:
        for version in self.versions:
            for tensor in self.outputs:
                if (tensor.index_of or tensor.name) not in version.tolerances:
                    raise ValueError(f"version {version.number} has no tolerance for the output {tensor.name}")
        return self

    @model_validator(mode="after")
    def _words_of_manifests_are_harmless(self) -> Self:
        """Check that no text that goes into YAML or a Dockerfile can end its line there."""
        if not re.fullmatch(r"[\w:.-]*", self.data.content_hash, re.ASCII):
            raise ValueError("the content hash of its data is not a hash")
        return self

    @model_validator(mode="after")
    def _versions_and_tensors_are_distinct(self) -> Self:
        kinds = {"versions": [str(one.number) for one in self.versions]}
        kinds |= {"inputs": [one.name for one in self.inputs], "outputs": [one.name for one in self.outputs]}
        for kind, names in kinds.items():
            if len(set(names)) != len(names):
                raise ValueError(f"two of the {kind} have the same name")
        return self

    @model_validator(mode="after")
    def _tensors_fit_what_is_served(self) -> Self:
        names = {one.name for one in self.outputs}
        for kind, tensors in (("inputs", self.inputs), ("outputs", self.outputs)):
            if any(min(one.shape, default=1) < 0 for one in tensors):
                raise ValueError(f"one of the {kind} has a shape that does not match its records")
            if sum(math.prod(one.shape) * np.dtype(one.dtype).itemsize for one in tensors) > MOST_BYTES:
                raise ValueError(f"a record's {kind} are larger than {MOST_BYTES} bytes")
            if any(one.index_of and one.index_of not in names for one in tensors):
                raise ValueError(f"one of the {kind} refers to an output that does not exist")
        if self.unit == "image":
            self._check_image()
        elif self.classes:
            raise ValueError("it has classes but no images")
        return self

    def _check_image(self) -> None:
        image, answers = self.inputs[0], self.outputs[0]
        side = (*image.shape, 0)[0]
        pixels = image.datatype == "UINT8" and image.shape in ([side, side, 1], [side, side, 3])
        if len(self.inputs) > 1 or not pixels:
            raise ValueError("its input is not an image of decoded pixels")
        if answers.shape != [len(self.classes)] or not any(one.index_of for one in self.outputs):
            raise ValueError("its outputs are not the probabilities of its classes and the index of the largest")

    @property
    def cores(self) -> int:
        """The number of processor cores that the server gets: one for every thread that runs a model."""
        return self.threads * self.instances

    @property
    def device(self) -> str:
        """The device that the serving version was timed on and is served on, "cpu" or "cuda"."""
        return served_by(self.version(self.serving).runtime).device

    def version(self, number: int) -> Version:
        """
        Raises:
            ArtifactError: there is no version of this number.
        """
        for version in self.versions:
            if version.number == number:
                return version
        known = ", ".join(str(version.number) for version in self.versions)
        raise ArtifactError(f"Deployment {self.name} has no such version", expected=known, found=str(number))

    def allowed(self, version: Version) -> dict[str, float]:
        """Return the largest error of `assay.numerics.served.errors_of` that passes, by output."""
        return {
            one.name: 2 * version.tolerances[one.index_of].value if one.index_of else version.tolerances[one.name].value
            for one in self.outputs
        }


def served_runtime(runtime: str) -> RuntimeEntry:
    """Return the runtime of a version.

    Args:
        runtime: the version's value, "" for the only one that was served before there were others.

    Raises:
        ArtifactError: there is no such runtime, or nothing serves it.
    """
    every = {entry.name: entry for entry in RUNTIMES.values() if entry.served_by}
    first = next(entry for entry in every.values() if entry.served_by and entry.served_by.backend == FIRST_BACKEND)
    found = every.get(runtime) if runtime else first
    if found is None:
        raise ArtifactError(
            "A deployment names a runtime that no server runs",
            expected=", ".join(every),
            found=ascii(runtime[:100]),
        )
    return found


def served_by(runtime: str) -> ServedBy:
    """Return how a version's runtime is served; arguments and errors are those of `served_runtime`."""
    found = served_runtime(runtime).served_by
    assert found is not None, "a runtime that no server runs"
    return found


def text_before_measures(deployment: Deployment) -> bytes:
    """Return the deployment record as written by an Assay that knew no measure but accuracy."""
    record = deployment.model_dump(mode="json")
    record["versions"] = [
        {ONCE if name == "quality" else name: said for name, said in one.items() if name != "measure"}
        for one in record["versions"]
        if one["measure"] == ONCE
    ]
    return to_json(record, indent=1)


def read_deployment(folder: Path) -> Deployment:
    """Read a folder's deployment.json; `assay.bench.deployment.deploy` checks the files beside it.

    Raises:
        ArtifactError: missing, not JSON, or not a record of a deployment.
    """
    path = folder / DEPLOYMENT_FILE
    if not path.exists():
        raise ArtifactError(
            f"{folder} is not a deployment",
            expected="a folder written by `assay deploy`",
            found=_instead_of_one(folder),
            remedy="Name the folder that `assay deploy` wrote; its --out sets where",
        )
    try:
        found = Deployment.model_validate(read_json(path))
    except (OSError, ValueError) as error:
        raise ArtifactError(
            f"Cannot read a deployment from {path}",
            expected="a file written by `assay deploy`",
            found=mistake_in(error),
            remedy="Deploy again, or restore the file",
        ) from error
    if found.rendering > RENDERING:
        raise ArtifactError(
            f"{path} was written by a newer Assay",
            expected=f"a deployment of rendering {RENDERING} or older",
            found=f"rendering {found.rendering}",
            remedy="Use that version of Assay, or deploy again with this one",
        )
    found.version(found.serving)
    for version in found.versions:
        served_by(version.runtime)
    return found


def _instead_of_one(folder: Path) -> str:
    """Describe what is found where a deployment should be."""
    if not folder.exists():
        return "nothing by that name"
    return f"a folder without {DEPLOYMENT_FILE}" if folder.is_dir() else "a file"
