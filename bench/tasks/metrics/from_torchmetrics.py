"""torchmetrics' metrics by the name of their class: MulticlassF1Score, Accuracy, MeanSquaredError.

A class that asks for the number of classes or labels, or for the task, gets it from the output and the labels. A metric
of which less is better, by its own `higher_is_better`, is negated.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
from typing import Any

import numpy as np
import torch

from assay.bench.tasks.metrics.metric import Outputs, Score
from assay.bench.tasks.metrics.predictions import Array, Predictions, predictions_of
from assay.errors import InputError, unknown_name
from assay.train.brought.libraries.from_torchvision import import_torchvision

ROOMS = ("classification", "regression", "segmentation")


def make(name: str, threshold: float | None) -> tuple[str, Score]:
    """Return a metric's name in reports, and the metric.

    Raises:
        InputError: torchmetrics has no metric of this name.
    """
    rooms = _imported()
    names = sorted({one for room in rooms for one in room.__all__ if one[:1].isupper()})
    if name not in names:
        raise unknown_name("metric of torchmetrics", name, names)
    kind = next(getattr(room, name) for room in rooms if hasattr(room, name))
    less = kind.higher_is_better is False

    def score(outputs: Outputs, labels: Any) -> object:
        (output,) = outputs.values()
        found = predictions_of(output, labels, threshold)
        metric = _made(name, kind, found)
        value = metric(torch.from_numpy(np.ascontiguousarray(_preds(name, found))), _tensor(found.labels))
        return -value if less else value

    return (f"neg_{name}" if less else name), score


def _imported() -> list[Any]:
    """Import torchmetrics' rooms, and before them torchvision, which they import where it is installed."""
    if importlib.util.find_spec("torchvision"):
        import_torchvision()
    names = ("torchmetrics", *(f"torchmetrics.{room}" for room in ROOMS))
    return [importlib.import_module(name) for name in names if importlib.util.find_spec(name)]


def _made(name: str, kind: Any, found: Predictions) -> Any:
    """Return the metric, with what its class asks for."""
    asked = inspect.signature(kind.__new__ if "task" in inspect.signature(kind.__new__).parameters else kind).parameters
    binary = found.scores is not None and found.scores.ndim == 1
    known: dict[str, object] = {
        "task": "multilabel" if found.is_multilabel else "binary" if binary else "multiclass",
        "num_classes": found.classes or None,
        "num_labels": found.labels.shape[1] if found.is_multilabel else None,
    }
    given = {one: value for one, value in known.items() if one in asked and value is not None}
    try:
        return kind(**given)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"torchmetrics' {name} cannot be made from outputs and labels alone",
            found=" ".join(str(error).split())[:200],
            remedy="Write a function that makes it, and give --metric FILE.py:FUNCTION",
        ) from error


def _preds(name: str, found: Predictions) -> Array:
    """Return the scores where there are any, else the predictions; a single number that decides as a probability."""
    scores = found.scores
    if scores is None:
        return found.predicted
    if name.startswith("Binary") and scores.ndim == 2 and scores.shape[1] == 2:
        scores = scores[:, 1] - scores[:, 0]
    elif scores.ndim == 2 and not found.is_multilabel:
        return scores
    return np.asarray(1 / (1 + np.exp(-np.clip(scores, -700, 700))))


def _tensor(labels: Array) -> Any:
    return torch.from_numpy(np.ascontiguousarray(labels))
