"""The training loop, one for all frameworks: order, schedule, evaluation, best epoch, stop and resume."""

from __future__ import annotations

import itertools
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from assay.errors import ArtifactError
from assay.files.mistakes import mistake_in
from assay.files.texts import read_json
from assay.records.base import Record
from assay.records.trainings import Epoch, Sitting
from assay.steps import call_seconds, load_seconds
from assay.steps import step as limited
from assay.store import write_atomically
from assay.train.batches import Batches, in_order
from assay.train.datasets.data import Dataset, Split
from assay.train.recipe import Recipe
from assay.train.trainers.trainer import State, Trainer
from assay.train.weights import Weights, load_weights

EVALUATION_BATCH = 128
SECONDS_BETWEEN_REPORTS = 0.5
SECONDS_BETWEEN_CHECKPOINTS = 60.0
"""The most that a training loses when it is killed within an epoch, which may take hours."""
PROBED_STEPS, PROBE_WARMUP = 5, 3
STEPS_SLOWER = 10.0
"""A step takes at most so many times as long as those before it, and an image in an evaluation less than a whole
step.
"""


class TrainingStep(Record):
    """One step of a training that is under way; `left` is the time to its end in seconds."""

    step: int
    steps: int
    loss: float
    left: float


class TrainingNews(Record):
    """The news from a training: a step now and then, and every evaluation.

    Attributes:
        epochs: number of planned epochs.
        left: seconds to the end, judged by the time taken so far.
    """

    step: TrainingStep | None = None
    epoch: Epoch | None = None
    epochs: float = 0.0
    left: float = 0.0


Report = Callable[[TrainingNews], None]


@dataclass
class Progress:
    """The state of a training's progress, kept in its checkpoint.

    Attributes:
        steps: number of planned steps.
        step: number of steps done.
        seconds: training time so far, over all sittings.
        loss: sum of the losses of the steps since the last evaluation.
        history: one entry for each evaluation.
        best: index into history of the best evaluation, -1 before the first.
        sittings: the parts of the training, of which the last is the present one.
    """

    steps: int
    step: int = 0
    seconds: float = 0.0
    loss: float = 0.0
    history: list[Epoch] = field(default_factory=list)
    best: int = -1
    sittings: list[Sitting] = field(default_factory=list)

    def went(self, step: int, seconds: float) -> None:
        """Record that the present sitting came as far as `step`, in so many further seconds."""
        now = self.sittings[-1]
        more = {"steps": now.steps + step - self.step, "seconds": now.seconds + seconds}
        self.sittings[-1] = now.model_copy(update=more)
        self.step, self.seconds = step, self.seconds + seconds


@dataclass(frozen=True)
class Trained:
    """How a training went, and what came of it.

    Attributes:
        best: the weights of the evaluation with the best validation accuracy (of several equal ones, the one with the
            lowest validation loss).
        trainer: with the weights of the last evaluation.
    """

    progress: Progress
    best: Weights
    trainer: Trainer

    @property
    def is_best_at_the_end(self) -> bool:
        """Whether the trainer has the best weights already."""
        return self.progress.best == len(self.progress.history) - 1


@dataclass(frozen=True)
class Checkpoint:
    """A training's state on disk, replaced whole after every evaluation, and within an epoch once a minute.

    Attributes:
        folder: where it is kept until the training is finished.
        key: key of the training; a checkpoint of another one is not used.
        sitting: the present sitting, of which nothing is done yet.
    """

    folder: Path
    key: str
    sitting: Sitting

    def write(self, progress: Progress, state: State, best: Weights) -> None:
        """Save everything needed to continue from here."""
        arrays = state | {f"best.{name}": array for name, array in best.items()}
        name = f"state-{progress.step}.safetensors"
        write_atomically(self.folder / name, save({k: np.ascontiguousarray(v) for k, v in arrays.items()}))
        record = {
            "key": self.key,
            "arrays": name,
            "steps": progress.steps,
            "step": progress.step,
            "seconds": progress.seconds,
            "loss": progress.loss,
            "best": progress.best,
            "history": [epoch.model_dump() for epoch in progress.history],
            "sittings": [sitting.model_dump() for sitting in progress.sittings],
        }
        write_atomically(self.folder / "progress.json", json.dumps(record).encode())
        for old in self.folder.glob("state-*.safetensors"):
            if old.name != name:
                old.unlink()

    def read(self) -> tuple[Progress, State, Weights] | None:
        """Return the training saved here, or None if there is none of this key.

        Raises:
            ArtifactError: the checkpoint is damaged.
        """
        path = self.folder / "progress.json"
        if not path.is_file():
            return None
        try:
            record = read_json(path)
            if record["key"] != self.key:
                return None
            arrays = load_weights(self.folder / record["arrays"])
            progress = Progress(
                record["steps"],
                record["step"],
                record["seconds"],
                record.get("loss", 0.0),  # older checkpoints are of whole epochs
                [Epoch.model_validate(epoch) for epoch in record["history"]],
                record["best"],
                [Sitting.model_validate(sitting) for sitting in record.get("sittings", [])],
            )
        except (ValueError, KeyError, TypeError) as error:
            raise ArtifactError(
                f"The checkpoint in {self.folder} is damaged",
                found=mistake_in(error),
                remedy="Delete that folder to start this training again",
            ) from error
        best = {n.removeprefix("best."): a for n, a in arrays.items() if n.startswith("best.")}
        return progress, {n: a for n, a in arrays.items() if not n.startswith("best.")}, best


def train(
    make_trainer: Callable[[], Trainer],
    batches: Batches,
    dataset: Dataset,
    recipe: Recipe,
    *,
    epochs: float,
    minutes: float,
    checkpoint: Checkpoint,
    report: Report,
) -> Trained:
    """Train to the end of the schedule, from the checkpoint where there is one.

    Args:
        epochs: passes over the training split; the schedule covers exactly these.
        minutes: where above 0, the passes are cut beforehand to what this machine does in that time.
        report: receiver of a step now and then, and of every evaluation.
    """
    kept = checkpoint.read()
    trainer = make_trainer()
    if kept:
        progress, state, best = kept
        trainer.restore(state)
    else:
        steps = max(round(epochs * batches.in_epoch), 1)
        if minutes > 0:
            with limited("Timing the first steps", load_seconds() + PROBE_WARMUP * call_seconds()):
                seconds = _probe_step_seconds(make_trainer(), batches)
            steps = min(steps, max(int(minutes * 60 / seconds), 1))
        progress, best = Progress(steps), {}
    progress.sittings.append(checkpoint.sitting)
    while progress.step < progress.steps:
        keep = partial(_keep, checkpoint, progress, trainer, best)
        epoch = _one_epoch(trainer, batches, dataset, recipe, progress, report, keep)
        progress.history.append(epoch)
        if progress.best < 0 or _better(epoch, progress.history[progress.best]):
            progress.best, best = len(progress.history) - 1, trainer.weights()
        checkpoint.write(progress, trainer.state(), best)
        left = progress.seconds / progress.step * (progress.steps - progress.step)
        report(TrainingNews(epoch=epoch, epochs=progress.steps / batches.in_epoch, left=left))
    return Trained(progress, best, trainer)


def _probe_step_seconds(trainer: Trainer, batches: Batches) -> float:
    """Return the seconds of one step on this machine, from a few steps whose effect is thrown away."""
    for step in range(PROBE_WARMUP):
        trainer.step(*batches.batch(step), 0.0)
    start = time.monotonic()
    for step in range(PROBED_STEPS):
        trainer.step(*batches.batch(step), 0.0)
    return (time.monotonic() - start) / PROBED_STEPS


def _keep(checkpoint: Checkpoint, progress: Progress, trainer: Trainer, best: Weights) -> None:
    checkpoint.write(progress, trainer.state(), best)


def _one_epoch(
    trainer: Trainer,
    batches: Batches,
    dataset: Dataset,
    recipe: Recipe,
    progress: Progress,
    report: Report,
    keep: Callable[[], None],
) -> Epoch:
    """Train to the end of the epoch, or of the schedule, and evaluate; `keep` writes a checkpoint."""
    begun = since = reported = time.monotonic()
    first = progress.step
    whole = first - first % batches.in_epoch
    last = min(whole + batches.in_epoch, progress.steps)
    epoch = f"Epoch {math.ceil(last / batches.in_epoch)} of {math.ceil(progress.steps / batches.in_epoch)}"
    a_step = 0.0
    for place in parts(first, last):
        started = time.monotonic()
        with limited(epoch, allowed_for(len(place), a_step)):
            for step in place:
                loss = trainer.step(*batches.batch(step), recipe.learning_rate(step, progress.steps))
                progress.loss += loss
                now = time.monotonic()
                if now - reported > SECONDS_BETWEEN_REPORTS:
                    reported = now
                    left = (now - begun) / (step + 1 - first) * (progress.steps - step - 1)
                    report(TrainingNews(step=TrainingStep(step=step + 1, steps=progress.steps, loss=loss, left=left)))
                if now - since > SECONDS_BETWEEN_CHECKPOINTS and step + 1 < last:  # at the end after its evaluation
                    progress.went(step + 1, now - since)
                    since = now
                    keep()
        a_step = (time.monotonic() - started) / len(place)
    with limited(f"The evaluation after {epoch.lower()}", allowed_for(len(dataset.validation.images), a_step)):
        validation_loss, accuracy = evaluate(trainer, dataset.validation)
    progress.went(last, time.monotonic() - since)
    loss, progress.loss = progress.loss / (last - whole), 0.0
    return Epoch(
        epoch=last / batches.in_epoch,
        training_loss=loss,
        validation_loss=validation_loss,
        validation_accuracy=accuracy,
        seconds=progress.seconds,
    )


def parts(first: int, last: int) -> list[range]:
    """Split the steps of an epoch: two alone, of which the first may compile and the second shows how long the rest
    takes.
    """
    edges = sorted({min(edge, last) for edge in (first, first + 1, first + 2, last)})
    return [range(begin, end) for begin, end in itertools.pairwise(edges)]


def allowed_for(steps: int, a_step: float) -> float:
    """Return the seconds that so many steps, or evaluated images, may take.

    Args:
        a_step: seconds of the step just before; 0 if there was none, so that the next may compile.
    """
    return load_seconds() + STEPS_SLOWER * a_step * steps


def _better(new: Epoch, old: Epoch) -> bool:
    return (new.validation_accuracy, -new.validation_loss) > (old.validation_accuracy, -old.validation_loss)


def all_logits(trainer: Trainer, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Logits (count, classes) of all images, in order.

    Where there are several batches, the last is filled up: a framework that compiles would do so for each other size.
    """
    found: list[NDArray[np.float32]] = []
    for batch in in_order(images, EVALUATION_BATCH):
        lacking = EVALUATION_BATCH - len(batch) if found else 0
        whole = np.concatenate([batch, np.repeat(batch[:1], lacking, axis=0)]) if lacking else batch
        found.append(trainer.logits(whole)[: len(batch)])
    return np.concatenate(found)


def evaluate(trainer: Trainer, split: Split) -> tuple[float, float]:
    """Return cross-entropy without smoothing, and accuracy."""
    logits = all_logits(trainer, split.images).astype(np.float64)
    logits -= logits.max(axis=1, keepdims=True)
    log_probabilities = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    labels = np.asarray(split.labels)
    loss = -float(log_probabilities[np.arange(len(labels)), labels].mean())
    return loss, float((logits.argmax(axis=1) == labels).mean())
