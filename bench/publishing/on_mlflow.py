"""A run as one of MLflow: parameters, metrics, the verdict as a tag and a note, and the report among its artifacts."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

import mlflow
from mlflow.entities import Metric, Param, RunTag

from assay.bench.publishing.publication import Publication
from assay.errors import FailedError
from assay.foreign import said_by
from assay.texts import markdown, printable

AT_ONCE = 100
"""The most parameters and tags, and fewer than the most metrics, that a server takes in one request."""
NOTE = "mlflow.note.content"
"""Its pages show this tag as Markdown."""


def publish(found: Publication, place: str, project: str) -> str:
    """
    Args:
        place: a tracking URI; "" for MLFLOW_TRACKING_URI or what MLflow takes by itself.
        project: the experiment, which is made where there is none.

    Returns:
        The id that finds it again.

    Raises:
        FailedError: the store or server does not take it.
    """
    try:
        client = mlflow.MlflowClient(tracking_uri=place or None)
        known = client.get_experiment_by_name(project)
        experiment = known.experiment_id if known else client.create_experiment(project)
        run: str = client.create_run(experiment, run_name=printable(found.name)).info.run_id
        now = int(time.time() * 1000)
        metrics = [Metric(name, value, now, 0) for name, value in found.metrics.items()]
        parameters = [Param(name, value) for name, value in found.parameters.items()]
        tags = {"assay.passed": str(found.passed), "assay.verdict": "\n".join(found.lines), NOTE: markdown(found.title)}
        for part in _parts(metrics):
            client.log_batch(run, metrics=part)
        for part in _parts(parameters):
            client.log_batch(run, params=part)
        client.log_batch(run, tags=[RunTag(name, value[:5000]) for name, value in tags.items()])
        for file in found.files:
            client.log_artifact(run, str(file))
        client.set_terminated(run, "FINISHED")
    except Exception as error:  # whatever a store, its driver or a server raises
        raise FailedError(
            f"MLflow does not take the run at {place or 'its own place'}",
            found=f"{type(error).__name__}: {said_by(error)}",
            remedy="Name a store or server with --place, or in MLFLOW_TRACKING_URI",
        ) from error
    return f"run {run} of experiment {project}"


def _parts(things: Sequence[Any]) -> Iterator[list[Any]]:
    for begin in range(0, len(things), AT_ONCE):
        yield list(things[begin : begin + AT_ONCE])
