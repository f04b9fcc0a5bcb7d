"""A metric that can be called, and that answers with a number or says where it does not."""

from __future__ import annotations

import inspect
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from assay.bench.tasks.metrics.metric import Metric, Outputs, Score
from assay.bench.tasks.metrics.paired import Numbered
from assay.errors import InputError
from assay.foreign import said_by
from assay.registry import METRICS
from assay.train.brought.source import built, explained

LONGEST = 100


def load_metric(metric: Metric, outputs: Sequence[str], threshold: float | None) -> tuple[str, Numbered]:
    """Return a metric's name in reports, and the metric, which raises InputError where it fails or gives no number.

    Args:
        outputs: names of the model's outputs: a library's metric is of one.

    Raises:
        InputError: its file fails, it is not callable, the library has none of its name, or there are several outputs.
        NotInstalledError: its library is not installed.
    """
    if metric.location is None:
        if len(outputs) > 1:
            raise InputError(
                f"--metric {metric} is of one output, and the model has several",
                found=", ".join(outputs),
                remedy="Leave the others out with --without",
            )
        name, given = METRICS[metric.library].load()(metric.name, threshold)
        return name, lambda outputs, labels: _number_of(metric, _of_library(metric, given, outputs, labels))
    path = metric.location.path
    found = built(path, metric.location.function, metric.location.module)
    if not callable(found):
        raise InputError(f"--metric {metric} is not a function", found=type(found).__name__)
    function = found

    def score(given: Outputs, labels: Any) -> float:
        only = next(iter(given.values())) if len(given) == 1 else dict(given)
        with explained(path, f"{metric.name}(outputs, labels)"):
            answer = function(only, labels)
        return _number_of(metric, answer)

    return metric.name, score


def _of_library(metric: Metric, score: Score, outputs: Outputs, labels: Any) -> object:
    try:
        return score(outputs, labels)
    except InputError:
        raise
    except Exception as error:  # a library may raise anything about outputs and labels
        raise InputError(
            f"--metric {metric} fails",
            found=f"{type(error).__name__}: {said_by(error)}",
            remedy=f"Name another of {METRICS[metric.library].summary}, or give FILE.py:FUNCTION",
        ) from error


def _number_of(metric: Metric, answer: object) -> float:
    """Return what a metric gave as a number.

    Raises:
        InputError: it is not one finite number; the message has file and line of the function.
    """
    plain: Any = answer
    for step in ("detach", "cpu", "numpy"):  # of a tensor
        plain = getattr(plain, step)() if callable(getattr(plain, step, None)) else plain
    try:
        array = np.asarray(plain, dtype=np.float64) if plain is not None and not isinstance(plain, str) else None
    except (TypeError, ValueError):
        array = None
    if array is None or array.size != 1 or array.ndim:
        shape = getattr(plain, "shape", None)
        told = f"{type(answer).__name__} {repr(answer)[:LONGEST]}" if shape is None else f"an array of shape {shape}"
        raise InputError(f"{metric} gives no number{_place(metric)}", expected="one number for all records", found=told)
    value = float(array)
    if not math.isfinite(value):
        raise InputError(f"{metric} gives no number{_place(metric)}", expected="a finite number", found=str(value))
    return value


def _place(metric: Metric) -> str:
    """Return " (score.py, line 12)", where the function of the user's own begins."""
    if metric.location is None:
        return ""
    path: Path = metric.location.path
    found = built(path, metric.location.function, metric.location.module)
    try:
        line = inspect.getsourcelines(found if inspect.isroutine(found) else type(found))[1]
    except (OSError, TypeError):
        return f" ({path.name})"
    return f" ({path.name}, line {line})"
