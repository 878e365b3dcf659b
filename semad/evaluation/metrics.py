"""Ranking and threshold metrics, all from scikit-learn; anomalous is the positive class."""

from collections.abc import Sequence

import numpy as np
from sklearn import metrics

PERCENTILES = (80, 85, 90, 95, 96, 97, 98, 99, *(99 + tenth / 10 for tenth in range(1, 10)))
"""Of the test scores, among which the thesis takes its thresholds."""


def ranking(labels: np.ndarray, scores: np.ndarray) -> dict[str, float | None]:
    """AUROC and average precision; None where only one class is present.

    Args:
      labels: bool (N,), True where anomalous.
      scores: (N,), higher is more anomalous.
    """
    if labels.all() or not labels.any():
        return {"auroc": None, "average_precision": None}
    return {
        "auroc": float(metrics.roc_auc_score(labels, scores)),
        "average_precision": float(metrics.average_precision_score(labels, scores)),
    }


def at_threshold(labels: np.ndarray, scores: np.ndarray, threshold: float) -> dict[str, float]:
    """Precision, recall and F1 of `score > threshold`; 0 where undefined."""
    return of_cells(np.bincount(2 * labels.astype(int) + (scores > threshold), minlength=4))


def of_cells(cells: Sequence[float] | np.ndarray) -> dict[str, float]:
    """Precision, recall and F1 of a confusion matrix; 0 where undefined.

    Args:
      cells: how many are truly negative, falsely positive, falsely negative and truly positive: it
        says the same as millions of pixels.
    """
    truth, found = np.array([[0, 0, 1, 1], [0, 1, 0, 1]], bool)
    precision, recall, f1, _ = metrics.precision_recall_fscore_support(
        truth, found, average="binary", zero_division=0, sample_weight=cells
    )
    return {"precision": float(precision), "recall": float(recall), "f1": float(f1)}


def transductive(labels: np.ndarray, scores: np.ndarray) -> dict[str, dict[str, float]]:
    """Metrics at percentiles of the *test* scores, as the thesis takes them.

    Such a threshold has seen the test set: it is no figure of a detector at work.
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
