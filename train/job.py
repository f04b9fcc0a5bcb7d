"""One training in a process of its own: `python -P -m assay.train.job`, started by `assay.train.run`."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np
from pydantic import JsonValue

from assay.jobs.files import Written
from assay.jobs.job import Job, TellingJob
from assay.jobs.serving import serve_job
from assay.records.base import Record
from assay.records.trainings import Sitting, Training
from assay.registry import FRAMEWORKS, installed_versions
from assay.spec import ModelSpec
from assay.steps import load_seconds, size_of, step
from assay.store import artifact_key
from assay.train.architectures import parameters
from assay.train.batches import Batches
from assay.train.datasets.data import Dataset, Split, open_dataset
from assay.train.datasets.sources import stratified
from assay.train.loop import Checkpoint, Report, TrainingNews, all_logits, allowed_for, train
from assay.train.metrics import classification_metrics
from assay.train.recipe import Recipe
from assay.train.trainers.trainer import Trainer
from assay.train.weights import NORM_EPSILON, Weights, initial_weights, load_weights, save_weights

WEIGHTS_FILE, TRAINING_FILE = "weights.safetensors", "training.json"
SILENCE_SECONDS = 3600.0
"""The longest silence of a training: it reports twice a second, except while it compiles or evaluates."""
PLACES = {"dataset", "start", "out", "unfinished", "changed", "machine"}
"""Fields of a request that say where things are, and what the record tells besides; they do not affect the result."""


class TrainingRequest(Record):
    """One training, described completely.

    Attributes:
        dataset: folder of a stored data set.
        data_hash: its content hash.
        start: weights file to begin with; None begins with `initial_weights`.
        start_key: key of the training those come from.
        evaluated_images: at most so many of the validation and of the test split; 0 for all.
        parity_steps: above 0, do only this many steps and give back their losses.
        out: folder that takes the weights and the record.
        unfinished: folder that keeps how far it got.
        changed: the constant in which the recipe differs from the study's, for the record; "" where none does.
        machine: processor, cores and memory of the machine that does it, for the record.
    """

    framework: str
    spec: ModelSpec
    recipe: Recipe
    epochs: float
    minutes: float = 0.0
    seed: int
    dataset: Path
    data_hash: str
    start: Path | None = None
    start_key: str | None = None
    evaluated_images: int = 0
    parity_steps: int = 0
    out: Written
    unfinished: Written
    changed: str = ""
    machine: str = ""

    def inputs(self) -> dict[str, JsonValue]:
        """Return the fields that determine the weights."""
        fields = self.model_dump(mode="json") | {"spec": self.spec.to_dict()}
        if not self.evaluated_images:
            del fields["evaluated_images"]  # so that what older versions trained keeps its key
        return {name: fields[name] for name in sorted(set(fields) - PLACES)}

    def first_weights(self) -> Weights:
        """Return the weights that the training starts from, by canonical name."""
        if self.start:
            return load_weights(self.start)
        return initial_weights(self.spec, self.seed, self.recipe.convention)


class Losses(Record):
    """The loss of each of the first steps."""

    losses: list[float]


TRAIN = TellingJob("assay.train.job", "train", TrainingRequest, Training, TrainingNews, silence_seconds=SILENCE_SECONDS)
FIRST_LOSSES = Job("assay.train.job", "first losses", TrainingRequest, Losses)


def _train_to_the_end(request: TrainingRequest, report: Report) -> Training:
    """Train as requested, and keep weights and record."""
    dataset, batches, trainer_class = _begun(request)
    make_trainer = partial(trainer_class, request.spec, request.recipe, request.first_weights())
    key = artifact_key("weights", request.inputs())
    sitting = Sitting(
        begun=datetime.now(UTC).isoformat(timespec="seconds"),
        machine=request.machine,
        made_by=installed_versions(FRAMEWORKS[request.framework].packages),
    )
    checkpoint = Checkpoint(request.unfinished, key, sitting)
    trained = train(
        make_trainer,
        batches,
        dataset,
        request.recipe,
        epochs=request.epochs,
        minutes=request.minutes,
        checkpoint=checkpoint,
        report=report,
    )
    progress, best, trainer = trained.progress, trained.best, trained.trainer
    tested = len(dataset.test.images)
    with step("The test of the trained model", allowed_for(tested, progress.seconds / progress.steps)):
        if not trained.is_best_at_the_end:
            trainer = trainer_class(request.spec, request.recipe, best)
        logits = all_logits(trainer, dataset.test.images)
    metrics = classification_metrics(logits, np.asarray(dataset.test.labels), dataset.classes)
    record = Training(
        architecture=request.spec.architecture,
        size=request.spec.size,
        framework=request.framework,
        seed=request.seed,
        weights=key,
        started_from=request.start_key,
        parameters=sum(int(np.prod(p.shape)) for p in parameters(request.spec) if p.trained),
        best_epoch=progress.history[progress.best].epoch,
        validation_accuracy=progress.history[progress.best].validation_accuracy,
        seconds=progress.seconds,
        history=progress.history,
        test=metrics,
        changed=request.changed,
        sittings=[one for one in progress.sittings if one.steps],
    )
    keep(request, record, best)
    return record


def first_losses(request: TrainingRequest) -> Losses:
    """Return the losses of the first steps of the schedule that a whole training would have."""
    _, batches, trainer_class = _begun(request)
    trainer = trainer_class(request.spec, request.recipe, request.first_weights())
    steps = max(round(request.epochs * batches.in_epoch), request.parity_steps)
    losses: list[float] = []
    a_step = 0.0
    for number in range(request.parity_steps):
        begun = time.monotonic()
        with step(f"Step {number + 1} of {request.parity_steps}", allowed_for(1, a_step)):
            losses.append(trainer.step(*batches.batch(number), request.recipe.learning_rate(number, steps)))
        a_step = time.monotonic() - begun
    return Losses(losses=losses)


def _begun(request: TrainingRequest) -> tuple[Dataset, Batches, Callable[..., Trainer]]:
    """Return the images, whole and in batches, and the trainer's class."""
    with step("Opening the images", load_seconds(size_of(request.dataset))):
        dataset = _evaluated(open_dataset(request.dataset), request.evaluated_images)
    batches = Batches(dataset.train, request.recipe.batch_size, request.seed)
    with step(f"Importing {request.framework}", load_seconds()):
        trainer: Callable[..., Trainer] = FRAMEWORKS[request.framework].load()
    return dataset, batches, trainer


def _evaluated(dataset: Dataset, most: int) -> Dataset:
    """The data set with at most so many images to evaluate, see `TrainingRequest`."""
    if not most:
        return dataset
    return replace(dataset, validation=_few(dataset.validation, most), test=_few(dataset.test, most))


def _few(split: Split, most: int) -> Split:
    chosen = stratified(np.asarray(split.labels), most)
    return Split(split.images[chosen], split.labels[chosen])


def keep(request: TrainingRequest, record: Training, best: Weights) -> None:
    """Write weights and record. BatchNorm's epsilon becomes the common one by moving the difference into the
    variance.
    """
    moved = np.float32(request.recipe.norm_epsilon - NORM_EPSILON)
    best = {name: a + moved if name.endswith(".norm.variance") else a for name, a in best.items()}
    save_weights(request.out / WEIGHTS_FILE, best)
    (request.out / TRAINING_FILE).write_text(record.model_dump_json(indent=1), encoding="utf-8")


if __name__ == "__main__":
    serve_job(TRAIN.told_by(_train_to_the_end), FIRST_LOSSES.done_by(first_losses))
