"""Records of training: how accurate the models are, how they learned, and whether the frameworks learn alike."""

from __future__ import annotations

import operator

from pydantic import Field

from assay.records.base import (
    Duration,
    IntervalOfShare,
    Record,
    Share,
)


class Metrics(Record):
    """Quality of classification on a test split of `count` images.

    Attributes:
        count: images of the split.
        accuracy: share classified right (Wilson interval).
        macro_auc: mean over classes of one-against-rest area under the ROC curve (DeLong's interval).
        recall: per class name, share of its images classified right (Wilson interval).
        confusion: row = true class, column = predicted class, counts.
    """

    count: int
    accuracy: IntervalOfShare
    macro_auc: IntervalOfShare
    recall: dict[str, IntervalOfShare]
    confusion: list[list[int]]


class Epoch(Record):
    """One evaluation during training; `epoch` counts passes over the data and may be a fraction.

    Attributes:
        epoch: passes over the data, which may be a fraction.
        training_loss: mean loss over the batches since the last evaluation.
        validation_loss: loss on the validation split.
        validation_accuracy: share of the validation split that is classified correctly.
        seconds: seconds of training until then.
    """

    epoch: float
    training_loss: float
    validation_loss: float
    validation_accuracy: Share
    seconds: Duration


class Sitting(Record):
    """A part of a training that one process did without a break.

    Attributes:
        begun: UTC, ISO 8601.
        machine: processor, cores and memory of its machine.
        made_by: versions of the framework's packages.
        steps: number of steps that it did; those after its last checkpoint are lost and not counted.
        seconds: time in these steps and in evaluations.
    """

    begun: str
    machine: str
    made_by: dict[str, str]
    steps: int = 0
    seconds: Duration = 0.0


class Training(Record):
    """One trained model.

    Attributes:
        architecture, size: the model's name, and height and width of its images in pixels.
        framework: framework that trained it: "torch", "tf" or "jax".
        seed: seed of its start and of the order of its batches.
        weights: key of its weights artifact.
        started_from: key of the weights it started from, or None.
        parameters: number of learned numbers.
        best_epoch: passes over the data after which validation accuracy was best; its weights are kept.
        validation_accuracy: accuracy at the best epoch.
        seconds: time in steps and evaluations. On a machine with several cores, other frameworks trained at the same
            time; alone it takes less.
        history: every evaluation, in order.
        test: metrics on the test split, which training never saw.
        changed: the one constant in which its recipe differs from the study's, "norm_momentum=0.99"; "" for none.
        sittings: parts of the training in order, which may be of several days and machines; empty in older records.
    """

    architecture: str
    size: int
    framework: str
    seed: int
    weights: str
    started_from: str | None
    parameters: int
    best_epoch: float
    validation_accuracy: Share
    seconds: Duration
    history: list[Epoch]
    test: Metrics
    changed: str = Field(default="", exclude_if=operator.not_)
    sittings: list[Sitting] = Field(default_factory=list, exclude_if=operator.not_)


class Parity(Record):
    """Loss curves of the frameworks, from the same start and over the same batches.

    Attributes:
        architecture, size: the model's name, and height and width of its images in pixels.
        steps: number of steps compared.
        losses: per framework, the training loss of each step.
        worst_relative_difference: largest over steps and pairs of frameworks of |a-b| / max(|a|,|b|).
    """

    architecture: str
    size: int
    steps: int
    losses: dict[str, list[float]]
    worst_relative_difference: float
