"""The required answers of a deployment, and the records that they belong to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from assay.bench.deployment.answered import read_answered, read_array
from assay.bench.serving.snapshot import checked_deployment
from assay.errors import DataError, InputError
from assay.infer.wire import Target
from assay.numerics.served import Array, Records, as_records
from assay.records.deployment import AUDITED, Deployment, Version
from assay.train.datasets.data import DataRequest, Progress, load_dataset


@dataclass(frozen=True)
class AuditedAnswers:
    """The records that a version was asked about when it was audited, and its answers.

    Attributes:
        inputs, outputs: arrays of shape (count,), in one order.
        labels: the true classes, int64 (count,), where there are classes.
    """

    deployment: Deployment
    version: Version
    inputs: Records
    outputs: Records
    labels: NDArray[np.int64] | None


def read_audited(
    folder: Path,
    images: Path | None,
    data_root: Path | None,
    cache: Path,
    progress: Progress | None = None,
    signed_by: Path | None = None,
) -> AuditedAnswers:
    """Read a deployment's audited answers, and find their inputs.

    Args:
        images: an .npy file of the test split's images, in order; else the data set that the deployment names. One
            that has its inputs needs neither.
        data_root: place of that data set, as for a study.
        cache: folder for downloads.
        signed_by: the public key whose signature the deployment has to have.

    Raises:
        ArtifactError: the folder is not as it was deployed, or not signed with that key.
        DataError: the images are not those of the audit.
    """
    deployment = checked_deployment(folder, signed_by)
    version = deployment.version(deployment.serving)
    answered = read_answered(folder / AUDITED / str(version.number), deployment)
    inputs = answered.inputs
    if images or inputs is None:
        given = read_array(images) if images else _from_data_set(deployment, data_root, cache, progress)
        inputs = as_records(given, deployment.inputs)
    if len(inputs) != len(answered.outputs):
        raise DataError(
            f"These are not the {deployment.unit}s that were audited",
            expected=str(len(answered.outputs)),
            found=str(len(inputs)),
        )
    return AuditedAnswers(deployment, version, inputs, answered.outputs, answered.labels)


def _from_data_set(deployment: Deployment, root: Path | None, cache: Path, progress: Progress | None) -> Array:
    """Return the test split of the data set with the deployment's content hash."""
    data = deployment.data
    size = deployment.inputs[0].shape[0]
    name = "auto" if root else data.name
    found = ""
    for limit in (0, max(data.counts.values())):  # a study may have taken part of it
        dataset = load_dataset(DataRequest(name, size, root=root, limit=limit, cache=cache), progress)
        if dataset.content_hash == data.content_hash:
            return dataset.test.images
        found = found or f"{dataset.name} with {dataset.content_hash[:12]}..."
    raise DataError(
        f"The data set is not the one that {deployment.name} was audited on",
        expected=f"{data.name} at {size} pixels with the content hash {data.content_hash[:12]}...",
        found=found,
        remedy="Name its folder or zip with --data-root, or an .npy file of the test images with --images",
    )


def target_of(deployment: Deployment, url: str, grpc: str | None) -> Target:
    """Return the address of a served deployment.

    Args:
        url: HTTP address, "http://127.0.0.1:8000".
        grpc: host and port; by default the port after HTTP's, as with Triton and `assay serve`.

    Raises:
        InputError: this is not such a URL.
    """
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        host, port = parts.hostname, parts.port or 80
    except ValueError:
        host, port, parts = None, 0, urlsplit("")
    if parts.scheme != "http" or not host or parts.path.strip("/"):
        raise InputError(f"Cannot use '{url}' as a server's address", expected="http://HOST:PORT")
    return Target(
        http=f"{host}:{port}",
        grpc=grpc or f"{host}:{port + 1}",
        model=deployment.name,
        inputs=tuple(deployment.inputs),
        outputs=tuple(deployment.outputs),
        most_records=deployment.most_records,
    )
