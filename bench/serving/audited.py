"""What a deployment's answers have to be, and the images that they belong to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from assay.deployment import AUDITED, PROBABILITIES_FILE, TRUE_LABELS_FILE, Deployment, Version
from assay.errors import ArtifactError, DataError, InputError
from bench.serving.snapshot import checked_deployment
from infer.wire import Images, Target
from train.data import DataRequest, Progress, load_dataset


@dataclass(frozen=True)
class Audited:
    """The test split and what a version answered to it when it was audited.

    Attributes:
        images: uint8 (count, height, width, channels).
        probabilities: float32 (count, classes).
        labels: int64 (count,), the true classes.
    """

    deployment: Deployment
    version: Version
    images: Images
    probabilities: NDArray[np.float32]
    labels: NDArray[np.int64]


def read_audited(
    folder: Path, images: Path | None, data_root: Path | None, cache: Path, progress: Progress | None = None
) -> Audited:
    """Read a deployment's audited answers, and find its images.

    Args:
        images: an .npy file of the test split's images, in order; else the data set that the deployment names.
        data_root: where that data set is, as for a study.
        cache: folder for downloads.

    Raises:
        ArtifactError: the folder is not what was deployed.
        DataError: the images are not those of the audit.
    """
    deployment = checked_deployment(folder)
    version = deployment.version(deployment.serving)
    place = folder / AUDITED / str(version.number)
    probabilities, labels = _array(place / PROBABILITIES_FILE), _array(place / TRUE_LABELS_FILE)
    shape = (len(labels), len(deployment.classes))
    if probabilities.shape != shape or not len(labels):
        raise ArtifactError(
            f"{place / PROBABILITIES_FILE} is not what was audited", expected=str(shape), found=str(probabilities.shape)
        )
    found = _array(images) if images else _from_data_set(deployment, data_root, cache, progress)
    wanted = (len(labels), *deployment.image.shape)
    if found.shape != wanted or found.dtype != np.uint8:
        raise DataError(
            "These are not the images that were audited",
            expected=f"uint8 {wanted}",
            found=f"{found.dtype} {found.shape}",
        )
    return Audited(
        deployment,
        version,
        np.ascontiguousarray(found),
        probabilities.astype(np.float32, copy=False),
        labels.astype(np.int64, copy=False),
    )


def _array(path: Path) -> NDArray[Any]:
    try:
        return cast("NDArray[Any]", np.load(path, allow_pickle=False))
    except (OSError, ValueError, EOFError) as error:
        raise ArtifactError(
            f"{path} cannot be read", expected="an array in NumPy's format", found=str(error)
        ) from error


def _from_data_set(deployment: Deployment, root: Path | None, cache: Path, progress: Progress | None) -> Images:
    """The test split of the data set with the deployment's content hash."""
    data = deployment.data
    size = deployment.image.shape[0]
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
    """Where a deployment is served.

    Args:
        url: of HTTP, "http://127.0.0.1:8000".
        grpc: host and port; by default the port after HTTP's, where Triton and `assay serve` have it.

    Raises:
        InputError: this is no such URL.
    """
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        host, port = parts.hostname, parts.port or 80
    except ValueError:
        host, port, parts = None, 0, urlsplit("")
    if parts.scheme != "http" or not host or parts.path.strip("/"):
        raise InputError(f"Cannot use '{url}' as a server's address", expected="http://HOST:PORT")
    probabilities, label = (output.name for output in deployment.outputs)
    return Target(
        http=f"{host}:{port}",
        grpc=grpc or f"{host}:{port + 1}",
        model=deployment.name,
        image=deployment.image.name,
        probabilities=probabilities,
        label=label,
        classes=len(deployment.classes),
        most_images=deployment.most_images,
    )
