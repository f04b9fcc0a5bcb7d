"""scikit-learn's metrics: a scorer by its name (f1_macro, roc_auc_ovr) or a function (accuracy_score, log_loss).

scikit-learn's own scorer asks an estimator for what the metric takes: classes, probabilities or decision values. The
estimator here answers with what the model has already given. Losses are negated, as by scikit-learn's own scorers,
whose convention is that higher is better; functions whose names end in _error, _loss or _deviance are losses there
(scikit-learn's user guide, "The scoring parameter").
"""

from __future__ import annotations

from typing import Any

import numpy as np
import sklearn.metrics
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

from assay.bench.tasks.metrics.metric import Outputs, Score
from assay.bench.tasks.metrics.predictions import Array, Predictions, are_probabilities, predictions_of
from assay.errors import InputError, unknown_name
from assay.numerics.distributions import softmax

LOSSES = ("_error", "_loss", "_deviance")
BY_PROBABILITY = frozenset(
    {"log_loss", "brier_score_loss", "d2_log_loss_score", "d2_brier_score", "top_k_accuracy_score"}
)
BY_SCORE = frozenset({"roc_auc_score", "average_precision_score", "ndcg_score", "dcg_score"})
"""Functions that take something else than predictions; the others take those."""


class GivenAnswers(BaseEstimator):
    """An estimator that has been asked already; what goes in are the places of the entries, (entries, 1)."""

    def __init__(self, answers: Predictions | None = None) -> None:
        self.answers = answers

    def fit(self, places: Array, labels: Array) -> GivenAnswers:
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def predict(self, places: Array) -> Array:
        assert self.answers is not None
        return self.answers.predicted[places[:, 0]]


class AnsweredRegressor(RegressorMixin, GivenAnswers):
    """The same for numbers."""


class AnsweredClassifier(ClassifierMixin, GivenAnswers):
    """The same for classes."""

    @property
    def classes_(self) -> Array:
        assert self.answers is not None
        return np.arange(self.answers.classes)

    def predict_proba(self, places: Array) -> Array:
        if self.answers is not None and self.answers.is_multilabel:
            raise InputError(
                "The metric takes probabilities of classes, and a record has several labels",
                remedy="Write a function, and give --metric FILE.py:FUNCTION",
            )
        scores = self._scores(places)
        if scores.ndim == 1:
            above = 1 / (1 + np.exp(-np.clip(scores, -700, 700)))
            return np.stack([1 - above, above], axis=1)
        return scores if are_probabilities(scores) else softmax(scores)

    def decision_function(self, places: Array) -> Array:
        scores = self._scores(places)
        assert self.answers is not None
        binary = scores.ndim == 2 and scores.shape[1] == 2 and not self.answers.is_multilabel
        return scores[:, 1] - scores[:, 0] if binary else scores

    def _scores(self, places: Array) -> Array:
        assert self.answers is not None
        if self.answers.scores is None:
            raise InputError("The metric takes scores of classes, and the output is the classes themselves")
        return self.answers.scores[places[:, 0]]


def make(name: str, threshold: float | None) -> tuple[str, Score]:
    """Return a metric's name in reports, and the metric.

    Raises:
        InputError: scikit-learn has no metric of this name.
    """
    known = sklearn.metrics.get_scorer_names()
    if name in known:
        return name, _score_by(sklearn.metrics.get_scorer(name), threshold)
    function = getattr(sklearn.metrics, name, None)
    functions = [one for one in sklearn.metrics.__all__ if one.endswith(("_score", *LOSSES))]
    if function is None or name not in functions:
        raise unknown_name("metric of scikit-learn", name, [*known, *functions])
    loss = name.endswith(LOSSES)
    takes = "predict_proba" if name in BY_PROBABILITY else "predict"
    response: Any = ("decision_function", "predict_proba") if name in BY_SCORE else takes
    scorer = sklearn.metrics.make_scorer(function, response_method=response, greater_is_better=not loss)
    return f"neg_{name}" if loss else name, _score_by(scorer, threshold)


def _score_by(scorer: Any, threshold: float | None) -> Score:
    def score(outputs: Outputs, labels: Any) -> object:
        (output,) = outputs.values()
        found = predictions_of(output, labels, threshold)
        places = np.arange(len(found.labels))[:, None]
        estimator = AnsweredClassifier(found) if found.classes else AnsweredRegressor(found)
        return scorer(estimator, places, found.labels)

    return score
