"""Metrics of libraries by name, against the same computed by hand from outputs and labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sklearn.metrics

from assay.bench.tasks.metrics.loaded import load_metric
from assay.bench.tasks.metrics.metric import read_metric
from assay.errors import InputError, NotInstalledError
from assay.numerics.distributions import softmax

RANDOM = np.random.default_rng(0)
LOGITS = RANDOM.normal(0, 2, (40, 3))
LABELS = RANDOM.integers(0, 3, 40)
TOKENS = RANDOM.normal(0, 2, (10, 5, 3))
TOKEN_LABELS = np.where(RANDOM.random((10, 5)) < 0.2, -100, RANDOM.integers(0, 3, (10, 5)))
BINARY = RANDOM.normal(0, 1, (40, 1))
YES = RANDOM.integers(0, 2, 40)
NUMBERS = RANDOM.normal(0, 1, 40)
KNOWN = TOKEN_LABELS >= 0


def found(name: str, output: np.ndarray, labels: np.ndarray, threshold: float | None = None) -> tuple[str, float]:
    called, score = load_metric(read_metric(name), ["out"], threshold)
    return called, score({"out": output}, labels)


@pytest.mark.parametrize(
    ("name", "output", "labels", "threshold", "expected"),
    [
        ("accuracy_score", LOGITS, LABELS, None, (LOGITS.argmax(1) == LABELS).mean()),
        ("accuracy", LOGITS, LABELS, None, (LOGITS.argmax(1) == LABELS).mean()),
        ("f1_macro", LOGITS, LABELS, None, sklearn.metrics.f1_score(LABELS, LOGITS.argmax(1), average="macro")),
        ("log_loss", LOGITS, LABELS, None, -sklearn.metrics.log_loss(LABELS, softmax(LOGITS))),
        ("neg_log_loss", softmax(LOGITS), LABELS, None, -sklearn.metrics.log_loss(LABELS, softmax(LOGITS))),
        (
            "roc_auc_ovr", LOGITS, LABELS, None,
            sklearn.metrics.roc_auc_score(LABELS, softmax(LOGITS), multi_class="ovr"),
        ),
        ("roc_auc_score", BINARY, YES, 0.0, sklearn.metrics.roc_auc_score(YES, BINARY[:, 0])),
        ("roc_auc_score", LOGITS[:, :2], YES, None, sklearn.metrics.roc_auc_score(YES, LOGITS[:, 1] - LOGITS[:, 0])),
        ("f1_score", BINARY, YES, 0.0, sklearn.metrics.f1_score(YES, BINARY[:, 0] > 0)),
        ("accuracy", TOKENS, TOKEN_LABELS, None, (TOKENS.argmax(2) == TOKEN_LABELS)[KNOWN].mean()),
        ("accuracy", np.moveaxis(TOKENS, 2, 1), TOKEN_LABELS, None, (TOKENS.argmax(2) == TOKEN_LABELS)[KNOWN].mean()),
        ("accuracy", LOGITS.argmax(1), LABELS, None, (LOGITS.argmax(1) == LABELS).mean()),
        ("r2_score", NUMBERS[:, None] + 0.1, NUMBERS, None, sklearn.metrics.r2_score(NUMBERS, NUMBERS + 0.1)),
        ("mean_squared_error", NUMBERS + 0.1, NUMBERS, None, -0.01),
        ("f1_micro", LOGITS, (LOGITS > 1).astype(int), 1.0, 1.0),  # several labels for each record
    ],
)  # fmt: skip
def test_scikit_learn_s_metrics_get_what_they_take(
    name: str, output: np.ndarray, labels: np.ndarray, threshold: float | None, expected: float
) -> None:
    called, value = found(f"sklearn:{name}", output, labels, threshold)
    assert value == pytest.approx(float(expected))
    assert called == (f"neg_{name}" if name in {"log_loss", "mean_squared_error"} else name)


@pytest.mark.parametrize(
    ("name", "output", "labels", "said"),
    [
        ("sklearn:f1_score", LOGITS, LABELS, "sklearn:f1_score fails.*average"),
        ("sklearn:f2", LOGITS, LABELS, "metric of scikit-learn 'f2'"),
        ("sklearn:accuracy", BINARY, YES, "--threshold 0 for logits"),
        ("sklearn:accuracy", LOGITS, LABELS[:, None, None].repeat(7, 1), r"does not fit.*\(7, 1\).*\(3,\)"),
        ("sklearn:log_loss", LOGITS.argmax(1), LABELS, "scores of classes, and the output is the classes"),
        ("sklearn:", LOGITS, LABELS, "names no metric"),
        ("scores", LOGITS, LABELS, "names no function.*FILE.py:FUNCTION.*sklearn:NAME, torchmetrics:NAME"),
        ("none.py:score", LOGITS, LABELS, "There is no file none.py"),
    ],
)
def test_what_does_not_fit_is_said(name: str, output: np.ndarray, labels: np.ndarray, said: str) -> None:
    with pytest.raises(InputError, match=f"(?s){said}"):
        found(name, output, labels)


def test_a_library_s_metric_is_of_one_output() -> None:
    with pytest.raises(InputError, match=r"of one output, and the model has several.*a, b.*--without"):
        load_metric(read_metric("sklearn:accuracy"), ["a", "b"], None)


def by_torchmetrics(name: str, output: np.ndarray, labels: np.ndarray, threshold: float | None = None) -> Any:
    try:
        return found(f"torchmetrics:{name}", output, labels, threshold)
    except NotInstalledError as error:
        pytest.skip(str(error))


def test_torchmetrics_by_the_name_of_the_class() -> None:
    macro = sklearn.metrics.f1_score(LABELS, LOGITS.argmax(1), average="macro")
    assert by_torchmetrics("MulticlassF1Score", LOGITS, LABELS) == ("MulticlassF1Score", pytest.approx(macro))
    right = (LOGITS.argmax(1) == LABELS).mean()
    assert by_torchmetrics("Accuracy", LOGITS, LABELS)[1] == pytest.approx(right)
    assert by_torchmetrics("MeanSquaredError", NUMBERS + 0.1, NUMBERS) == (
        "neg_MeanSquaredError", pytest.approx(-0.01),
    )  # fmt: skip
    area = sklearn.metrics.roc_auc_score(YES, BINARY[:, 0])
    assert by_torchmetrics("BinaryAUROC", BINARY, YES, 0.0)[1] == pytest.approx(area)
    with pytest.raises(InputError, match="metric of torchmetrics 'F2'"):
        by_torchmetrics("F2", LOGITS, LABELS)
