"""Trainings as the conductor sees them: started as jobs, found again when they are finished."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

from pydantic import JsonValue

from assay.jobs.host import Starter
from assay.jobs.process import HERE
from assay.jobs.running import run_job
from assay.jobs.side_by_side import side_by_side
from assay.records.trainings import Parity, Training
from assay.registry import FRAMEWORKS, installed_versions
from assay.steps import Limit
from assay.store import Artifact, Store
from assay.train.job import FIRST_LOSSES, TRAIN, TRAINING_FILE, TrainingRequest
from assay.train.loop import Report

BEGIN_SECONDS, SECONDS_A_STEP = 1800.0, 60.0
MINUTES_EXCEEDED = 4
"""The time limit of a training as a multiple of the minutes that it may last: it plans by its first steps, and also
evaluates.
"""


def train_model(
    request: TrainingRequest, store: Store, name: str, images: int, log: Path, report: Report, *, host: Starter = HERE
) -> Training:
    """Return the requested training, done now or found finished.

    Args:
        store: store for the weights, under the name.
        images: number of training images, to which the time limit is in proportion.
        report: called with the training's news.
        host: the host that trains.

    Raises:
        AssayError: the training's own error.
        WorkerError: its process crashed or was killed; its state at the last evaluation is kept and used by the next
            try.
    """

    def fill(work: Path) -> dict[str, JsonValue]:
        training = run_job(
            TRAIN,
            request.model_copy(update={"out": work}),
            log,
            limit_seconds=Limit(limit_seconds(request, images), f"The training of {_called(request)}"),
            heard=TRAIN.heard_by(report),
            host=host,
        )
        return {"test_accuracy": training.test.accuracy.value}

    made_by = installed_versions(FRAMEWORKS[request.framework].packages)
    kept = store.kept("weights", request.inputs(), fill, name=name, single=True, made_by=made_by)
    shutil.rmtree(request.unfinished, ignore_errors=True)
    return _training_record(kept)


def limit_seconds(request: TrainingRequest, images: int) -> float:
    """Return the longest that a training may take: many times what it needs on a slow machine. Each of its epochs has a
    limit of its own, judged by its first steps.
    """
    steps = request.parity_steps or request.epochs * images / request.recipe.batch_size
    most = steps * SECONDS_A_STEP
    return BEGIN_SECONDS + (min(most, request.minutes * 60 * MINUTES_EXCEEDED) if request.minutes else most)


def _called(request: TrainingRequest) -> str:
    return f"{request.spec.architecture} at {request.spec.size} in {request.framework}"


def _training_record(artifact: Artifact) -> Training:
    """Return the record in a weights artifact."""
    return artifact.record(Training, TRAINING_FILE)


def measure_parity(
    request: TrainingRequest,
    frameworks: tuple[str, ...],
    steps: int,
    log_folder: Path,
    *,
    together: int = 1,
    host_of: Callable[[str], Starter] = lambda _: HERE,
) -> Parity:
    """Train the same first steps in several frameworks, so many at a time, and compare the losses, step by step.

    Args:
        host_of: where a framework trains.
    """

    def first_losses(framework: str) -> list[float]:
        changed = request.model_copy(update={"framework": framework, "parity_steps": steps})
        limit = Limit(BEGIN_SECONDS + steps * SECONDS_A_STEP, f"The first steps of {_called(changed)}")
        log = log_folder / f"parity-{framework}.log"
        return run_job(FIRST_LOSSES, changed, log, limit_seconds=limit, host=host_of(framework)).losses

    found = side_by_side([partial(first_losses, framework) for framework in frameworks], together)
    losses = dict(zip(frameworks, found, strict=True))
    return Parity(
        architecture=request.spec.architecture,
        size=request.spec.size,
        steps=steps,
        losses=losses,
        worst_relative_difference=worst_relative_difference(losses),
    )


def worst_relative_difference(losses: dict[str, list[float]]) -> float:
    """Return the largest |a - b| / max(|a|, |b|) over all steps and pairs of frameworks; 0 for a single one."""
    return max(
        (
            abs(a - b) / max(abs(a), abs(b), 1e-30)
            for one, other in itertools.combinations(losses.values(), 2)
            for a, b in zip(one, other, strict=True)
        ),
        default=0.0,
    )
