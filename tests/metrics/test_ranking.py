"""Metrics on cases small enough for paper."""

import numpy as np
import pytest
from sklearn import metrics

from semad.evaluation.results import member_metrics, summary
from semad.metrics import pixels, ranking, statistics

LABELS = np.array([False, True, False, True, True])
SCORES = np.array([0.1, 0.4, 0.5, 0.8, 0.9])


def test_ranking():
    # Of 2·3 pairs one is in the wrong order: 0.5 (normal) above 0.4 (anomalous).
    found = ranking.ranking(LABELS, SCORES)
    assert found["auroc"] == pytest.approx(5 / 6)
    # Precision at the ranks of the anomalous items: 1/1, 2/2, 3/4.
    assert found["average_precision"] == pytest.approx((1 + 1 + 3 / 4) / 3)


def test_ranking_needs_both_classes():
    for labels in (np.zeros(3, bool), np.ones(3, bool)):
        found = ranking.ranking(labels, np.arange(3.0))
        assert found == {"auroc": None, "average_precision": None}


def test_at_threshold():
    found = ranking.at_threshold(LABELS, SCORES, 0.45)
    assert found["precision"] == pytest.approx(2 / 3)
    assert found["recall"] == pytest.approx(2 / 3)
    assert found["f1"] == pytest.approx(2 / 3)
    # An item at the threshold is not above it: true positives 0.9 and 0.8, none wrong.
    tied = ranking.at_threshold(LABELS, SCORES, 0.5)
    assert tied == pytest.approx({"precision": 1.0, "recall": 2 / 3, "f1": 0.8})
    nothing = ranking.at_threshold(LABELS, SCORES, 1.0)
    assert nothing == {"precision": 0.0, "recall": 0.0, "f1": 0.0}


def test_transductive_thresholds_are_percentiles_of_the_test_scores():
    labels = np.arange(1000) >= 900
    scores = np.arange(1000.0)
    found = ranking.transductive(labels, scores)
    assert found["90"]["threshold"] == pytest.approx(899.1)
    assert found["90"]["precision"] == found["90"]["recall"] == 1.0
    assert found["80"]["precision"] == pytest.approx(0.5)
    assert found["99.9"]["recall"] == pytest.approx(0.01)


def test_the_thesis_takes_the_percentile_with_the_best_f1():
    labels = np.arange(1000) >= 900
    table = ranking.transductive(labels, np.arange(1000.0))
    assert list(table) == [
        "80", "85", "90", "95", "96", "97", "98", "99",
        *(f"99.{tenth}" for tenth in range(1, 10)),
    ]  # fmt: skip
    best = ranking.transductive_best(table)
    assert best == {"percentile": 90.0} | table["90"]
    assert best["f1"] == 1.0
    tied = {"80": {"f1": 0.5}, "99.1": {"f1": 0.7}, "99.2": {"f1": 0.7}}
    assert ranking.transductive_best(tied) == {"percentile": 99.1, "f1": 0.7}


def test_the_registries():
    assert ranking.metric_names() == ("auroc", "average_precision", "precision", "recall", "f1")
    assert pixels.pixel_metric_names() == (
        "auroc",
        "average_precision",
        "tpr_at_fpr",
        "region_overlap",
    )


def test_weights_are_how_often_each_counts():
    weights = np.array([2, 1, 3, 1, 2])
    found = ranking.ranking(LABELS, SCORES, weights)
    repeated = ranking.ranking(np.repeat(LABELS, weights), np.repeat(SCORES, weights))
    assert found == pytest.approx(repeated)


def test_a_confusion_matrix_by_hand():
    found = ranking.of_confusion([5, 2, 3, 6])
    assert found == pytest.approx({"precision": 6 / 8, "recall": 6 / 9, "f1": 12 / 17})


def test_a_new_metric_is_one_entry(monkeypatch):
    """It stands in metrics.json of items and pixels, with mean and spread, and in comparisons."""

    def partial_auroc(labels, scores, weights):
        return metrics.roc_auc_score(labels, scores, sample_weight=weights, max_fpr=0.5)

    monkeypatch.setitem(ranking.RANKING, "partial_auroc", partial_auroc)
    monkeypatch.setitem(
        ranking.AT_THRESHOLD,
        "specificity",
        lambda cells: cells.true_negatives / (cells.true_negatives + cells.false_positives),
    )
    monkeypatch.setattr(statistics, "RESAMPLES", 5)
    rng = np.random.default_rng(0)
    labels = np.arange(200) % 4 == 0
    rows, systems = [], []
    for seed in range(2):
        scores = {"own": rng.normal(size=200) + labels}
        row = {"seed": seed, "tricks": "none", "point": ""}
        row |= member_metrics(labels, scores, scores, "own", "transductive", 0.1)
        limit = row["threshold"]["value"]
        expected = partial_auroc(labels, scores["own"], None)
        assert row["partial_auroc"] == row["scores"]["own"]["partial_auroc"] == expected
        assert row["specificity"] == (scores["own"][~labels] <= limit).mean()
        rows.append(row)
        binned = statistics.bin_scores(scores["own"], labels, np.arange(200), limit)
        systems.append(statistics.ComparedSystem(f"system {seed}", [binned, binned]))
    together = summary(rows, "transductive")
    for name in ("partial_auroc", "specificity"):
        values = [row[name] for row in rows]
        assert together["mean"][name] == together[name] == pytest.approx(np.mean(values))
        assert together["std"][name] == pytest.approx(np.std(values, ddof=1))
        compared = statistics.compare(systems, "system 0")[1][name]
        assert compared["mean"] == pytest.approx(values[1], abs=2e-3)
        assert compared["difference"]["interval"]
    maps = [rng.normal(size=(20, 20)) + np.eye(20)]
    counts = pixels.count(maps, [np.eye(20, dtype=bool)])
    assert 0.5 < pixels.pixel_metrics(counts)["partial_auroc"] < 1


def test_the_standard_error_of_an_auroc_by_hand():
    assert ranking.auroc_error(0.5, 1, 1) == 0.5
    by_hand = (0.16 + 9 * (0.8 / 1.2 - 0.64) + 4 * (1.28 / 1.8 - 0.64)) / 50
    assert ranking.auroc_error(0.8, 10, 5) == pytest.approx(by_hand**0.5)
    assert ranking.auroc_error(1.0, 10, 5) == 0
