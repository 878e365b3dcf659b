"""Metrics of scores against labels, all from scikit-learn; anomalous is the positive class.

A new metric is one entry: of `RANKING`, where it needs scores alone, or of `AT_THRESHOLD`, where it
needs the confusion matrix. It then stands in metrics.json for items and pixels, with its mean and
standard deviation over the seeds and with its intervals in comparisons.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from sklearn import metrics

PERCENTILES = (80, 85, 90, 95, 96, 97, 98, 99, *(99 + tenth / 10 for tenth in range(1, 10)))
"""Of the test scores, among which the thesis takes its thresholds."""

Weights = np.ndarray | None
Ranking = Callable[[np.ndarray, np.ndarray, Weights], float]
"""(labels (N,), True where anomalous; scores (N,); weights (N,) or None) -> value."""


def _auroc(labels: np.ndarray, scores: np.ndarray, weights: Weights) -> float:
    return metrics.roc_auc_score(labels, scores, sample_weight=weights)


def _average_precision(labels: np.ndarray, scores: np.ndarray, weights: Weights) -> float:
    return metrics.average_precision_score(labels, scores, sample_weight=weights)


RANKING: dict[str, Ranking] = {"auroc": _auroc, "average_precision": _average_precision}


class Confusion(NamedTuple):
    """How many items, or pixels, are what, at a threshold."""

    true_negatives: float
    false_positives: float
    false_negatives: float
    true_positives: float


@lru_cache(maxsize=1)  # three metrics of one matrix follow each other, thousands of times
def _support(confusion: Confusion) -> tuple[float, float, float]:
    """Precision, recall and F1; 0 where undefined."""
    truth, positive = np.array([[0, 0, 1, 1], [0, 1, 0, 1]], bool)
    precision, recall, f1, _ = metrics.precision_recall_fscore_support(
        truth, positive, average="binary", zero_division=0, sample_weight=confusion
    )
    return precision, recall, f1


AT_THRESHOLD: dict[str, Callable[[Confusion], float]] = {
    "precision": lambda confusion: _support(confusion)[0],
    "recall": lambda confusion: _support(confusion)[1],
    "f1": lambda confusion: _support(confusion)[2],
}


def metric_names() -> tuple[str, ...]:
    """Every metric of items: those of scores, then those at a threshold."""
    return (*RANKING, *AT_THRESHOLD)


def ranking(
    labels: np.ndarray, scores: np.ndarray, weights: Weights = None
) -> dict[str, float | None]:
    """Every metric of `RANKING`; None where only one class is present.

    Args:
      labels: bool (N,), True where anomalous.
      scores: (N,), higher is more anomalous.
      weights: (N,), how often each counts; None for once each.
    """
    if labels.all() or not labels.any():
        return dict.fromkeys(RANKING)
    return {name: float(metric(labels, scores, weights)) for name, metric in RANKING.items()}


def auroc_error(auroc: float, anomalous: int, normal: int) -> float:
    """The standard error of an AUROC of so many items of either kind (Hanley and McNeil 1982)."""
    two_anomalous = auroc / (2 - auroc)  # above one normal item
    two_normal = 2 * auroc**2 / (1 + auroc)  # below one anomalous item
    variance = auroc * (1 - auroc) + (anomalous - 1) * (two_anomalous - auroc**2)
    variance += (normal - 1) * (two_normal - auroc**2)
    return float(np.sqrt(variance / (anomalous * normal)))


def at_threshold(labels: np.ndarray, scores: np.ndarray, threshold: float) -> dict[str, float]:
    """Every metric of `AT_THRESHOLD`, of `score > threshold`."""
    return of_confusion(np.bincount(2 * labels.astype(int) + (scores > threshold), minlength=4))


def of_confusion(cells: Sequence[float] | np.ndarray) -> dict[str, float]:
    """Every metric of `AT_THRESHOLD`, of a confusion matrix in the order of `Confusion`.

    It says the same as the labels and scores of millions of pixels.
    """
    confusion = Confusion(*cells)
    return {name: float(metric(confusion)) for name, metric in AT_THRESHOLD.items()}


def transductive(labels: np.ndarray, scores: np.ndarray) -> dict[str, dict[str, float]]:
    """Metrics at percentiles of the *test* scores, as the thesis takes them.

    Such a threshold has seen the test set: it says nothing of a detector at work.
    """
    return {
        str(percentile): {"threshold": value} | at_threshold(labels, scores, value)
        for percentile in PERCENTILES
        for value in [float(np.percentile(scores, percentile))]
    }


def transductive_best(table: dict[str, dict[str, float]]) -> dict[str, float]:
    """Of `transductive`, the metrics at the percentile with the highest F1, and which it is.

    This is how the thesis' tables 51 to 55 have precision, recall and F1. The labels chose the
    threshold, so it says how far a score could go, not what a detector reaches.
    """
    percentile = max(table, key=lambda key: table[key]["f1"])
    return {"percentile": float(percentile)} | table[percentile]
