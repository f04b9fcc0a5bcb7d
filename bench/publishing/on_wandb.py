"""A run as one of Weights & Biases: its configuration, summary, a table of all cells, and the report as an artifact."""

from __future__ import annotations

import re

import wandb

from assay.bench.publishing.publication import COLUMNS, Publication
from assay.errors import FailedError
from assay.foreign import said_by
from assay.texts import printable


def publish(found: Publication, place: str, project: str) -> str:
    """
    Args:
        place: the folder that runs are kept in; "" for WANDB_DIR or the present one. WANDB_MODE=offline sends nothing.
        project: a project of Weights & Biases.

    Returns:
        Where it is: a page, or the folder of a run that is not sent.

    Raises:
        FailedError: it is not taken, as where nobody is logged in.
    """
    try:
        quiet = wandb.Settings(silent=True, console="off", disable_git=True)
        run = wandb.init(
            project=project, name=printable(found.name), dir=place or None, config=found.parameters, notes=found.title,
            job_type="assay", settings=quiet,
        )  # fmt: skip
        with run:
            run.summary.update(found.metrics | {"assay.passed": found.passed, "assay.verdict": "\n".join(found.lines)})
            run.log({"cells": wandb.Table(columns=list(COLUMNS), data=[list(row) for row in found.rows])})
            artifact = wandb.Artifact(re.sub(r"[^A-Za-z0-9_.-]", "-", f"assay-{found.name}"), type="assay")
            for file in found.files:
                artifact.add_file(str(file))
            run.log_artifact(artifact)
            where = str(run.url or run.dir)
    except Exception as error:  # whatever its client raises
        raise FailedError(
            "Weights & Biases does not take the run",
            found=f"{type(error).__name__}: {said_by(error)}",
            remedy="`wandb login` once, or WANDB_MODE=offline to keep it here and send it later",
        ) from error
    return where
