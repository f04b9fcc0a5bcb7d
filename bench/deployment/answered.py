"""The answers of a version when it was audited, read again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.errors import ArtifactError, DataError
from assay.files.arrays import load_array
from assay.numerics.served import Records, as_records
from assay.records.deployment import INPUTS_FILE, OUTPUTS_FILE, TRUE_LABELS_FILE, Deployment


@dataclass(frozen=True)
class Answered:
    """Everything that one version was audited on, in one order.

    Attributes:
        inputs: the inputs, (count,), where the deployment has them.
        outputs: the outputs, (count,).
        labels: the true classes, int64 (count,), where there are classes.
    """

    inputs: Records | None
    outputs: Records
    labels: NDArray[np.int64] | None


def read_answered(folder: Path, deployment: Deployment) -> Answered:
    """
    Args:
        folder: folder of the version, below `assay.records.deployment.AUDITED`.

    Raises:
        ArtifactError: a file is missing, or does not fit the deployment or the other files.
    """
    kept = deployment.unit == "record"
    outputs = _records(folder / OUTPUTS_FILE, deployment)
    found = Answered(
        inputs=_records(folder / INPUTS_FILE, deployment) if kept else None,
        outputs=outputs,
        labels=read_array(folder / TRUE_LABELS_FILE) if deployment.classes else None,
    )
    for name, some in ((INPUTS_FILE, found.inputs), (TRUE_LABELS_FILE, found.labels)):
        if some is not None and some.shape != outputs.shape:
            raise ArtifactError(
                f"{folder / name} does not match the answers", expected=str(outputs.shape), found=str(some.shape)
            )
    if found.labels is not None and not _are_classes(found.labels, len(deployment.classes)):
        raise ArtifactError(
            f"{folder / TRUE_LABELS_FILE} has labels that are not classes of this model",
            expected=f"whole numbers below {len(deployment.classes)}",
            found=str(found.labels.dtype),
        )
    return found


def _are_classes(labels: NDArray[Any], classes: int) -> bool:
    return labels.dtype == np.int64 and bool(((labels >= 0) & (labels < classes)).all())


def read_array(path: Path) -> NDArray[Any]:
    """
    Raises:
        ArtifactError: there is no such array.
    """
    return load_array(path)


def _records(path: Path, deployment: Deployment) -> Records:
    tensors = deployment.outputs if path.name == OUTPUTS_FILE else deployment.inputs
    try:
        found = as_records(read_array(path), tensors)
    except DataError as error:
        raise ArtifactError(
            f"{path} does not fit the deployment", expected=error.expected, found=error.found
        ) from error
    if not len(found):
        raise ArtifactError(f"{path} is empty")
    return found
