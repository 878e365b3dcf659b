"""Figures, differences and their intervals against sklearn, by hand, and on draws."""

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

from semad.metrics import pixels
from semad.metrics.ranking import metric_names
from semad.metrics.statistics import (
    ComparedSystem,
    Sampled,
    bin_scores,
    compare,
    difference,
    draws,
    from_bins,
    holm,
    verdict,
    weighted_metrics,
)

RNG = np.random.default_rng(0)


def items(images=12, per_image=30, shift=0.8, rng=RNG):
    """Scores, labels and images of items."""
    numbers = np.repeat(np.arange(images), per_image)
    labels = rng.random(len(numbers)) < 0.3
    scores = (rng.normal(size=len(numbers)) + shift * labels).astype(np.float32)
    return scores, labels, numbers


def test_figures_are_those_of_sklearn():
    scores, labels, numbers = items()
    weights = RNG.integers(0, 3, 12)
    each = weights[numbers]
    found = dict(
        zip(
            metric_names(),
            weighted_metrics(bin_scores(scores, labels, numbers, 0.5), weights),
            strict=True,
        )
    )
    assert found["auroc"] == pytest.approx(
        metrics.roc_auc_score(labels, scores, sample_weight=each), abs=1e-3
    )
    assert found["average_precision"] == pytest.approx(
        metrics.average_precision_score(labels, scores, sample_weight=each), abs=2e-3
    )
    precision, recall, f1, _ = metrics.precision_recall_fscore_support(
        labels, scores > 0.5, average="binary", sample_weight=each
    )
    assert [found[name] for name in ("precision", "recall", "f1")] == pytest.approx(
        [precision, recall, f1]
    )


def test_an_item_at_the_threshold_is_not_above_it():
    one = bin_scores(
        np.array([1.0, 2.0, 2.0, 3.0]), np.array([0, 0, 1, 1], bool), np.arange(4), 2.0
    )
    assert weighted_metrics(one, np.ones(4))[2:] == pytest.approx([1, 0.5, 2 / 3])


def test_pixels_counted_before():
    maps = [RNG.normal(size=(20, 20)) + np.eye(20) for _ in range(4)]
    masks = [np.eye(20, dtype=bool)] * 4
    counts, edges = pixels.count(maps, masks), pixels.bin_edges(maps, masks)
    found = weighted_metrics(from_bins(counts.normal, counts.anomalous, edges, 0.5), np.ones(4))
    labels, values = (np.concatenate([part.ravel() for part in parts]) for parts in (masks, maps))
    assert found[0] == pytest.approx(metrics.roc_auc_score(labels, values), abs=1e-3)
    assert found[3] == pytest.approx(metrics.recall_score(labels, values > 0.5), abs=0.02)


def test_one_class_alone_has_no_figures():
    one = bin_scores(np.arange(4.0), np.array([0, 0, 1, 1], bool), np.arange(4), 2.0)
    assert np.isnan(weighted_metrics(one, np.array([1, 2, 0, 0]))).all()


def test_draws_are_of_whole_images():
    weights = draws(7, 0)
    assert (weights.sum(axis=1) == 7).all()
    assert weights.std(axis=0).min() > 0
    np.testing.assert_array_equal(weights, draws(7, 0))


def sampled(values, spread, fixed=False):
    """One figure, of several seeds; its resamples differ by `spread`."""
    column = np.array(values, float)[:, None]
    return Sampled(column, column[None] + np.array(spread)[:, None, None], 41, fixed)


def test_a_difference_by_hand():
    # Differences of seeds .1, .2, .3: variance .01 / 3. Of images: variance of (0, .2, .1) is .01.
    own, other = sampled([0.6, 0.8, 1.0], [0, 0.2, 0.1]), sampled([0.5, 0.6, 0.7], [0, 0, 0])
    (found,) = difference(own, other)
    error = (0.01 / 3 + 0.01) ** 0.5
    freedom = error**4 / ((0.01 / 3) ** 2 / 2 + 0.01**2 / 40)
    half = stats.t.ppf(0.975, freedom) * error
    assert found["value"] == pytest.approx(0.2)
    assert found["interval"] == pytest.approx([0.2 - half, 0.2 + half])
    assert found["p"] == pytest.approx(2 * stats.t.sf(0.2 / error, freedom))


def test_what_has_no_seeds_adds_no_variance_of_seeds():
    own, other = sampled([0.6, 0.8], [0, 0]), sampled([0.5], [0, 0], fixed=True)
    (found,) = difference(own, other)
    half = stats.t.ppf(0.975, 1) * 0.1
    assert found["interval"] == pytest.approx([0.2 - half, 0.2 + half])
    (nothing,) = difference(sampled([0.6], [0, 0.1]), other)
    assert nothing["interval"] is None  # one seed says nothing of seeds


def test_holm_by_hand():
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]


def entry(name, labels, numbers, shift, rng, seeds=3):
    draws_ = [rng.normal(size=len(labels)) + shift * labels for _ in range(seeds)]
    return ComparedSystem(name, [bin_scores(one, labels, numbers, 1.0) for one in draws_])


def test_what_is_alike_is_within_noise_and_what_is_not_is_beyond():
    _, labels, numbers = items(images=20)
    rows = compare(
        [
            entry("Normal", labels, numbers, 0.5, RNG),
            entry("IN", labels, numbers, 2.5, RNG),
            entry("SL", labels, numbers, 0.5, RNG),
        ],
        "Normal",
    )
    assert [row["seeds"] for row in rows] == [3, 3, 3]
    assert "difference" not in rows[0]["auroc"]
    assert rows[1]["auroc"]["difference"]["p_holm"] < 0.01
    assert rows[1]["auroc"]["interval"][0] < rows[1]["auroc"]["mean"] < 0.99
    text = verdict(rows, "Normal")
    assert "Beyond noise from Normal: IN (+" in text
    assert "Within noise of Normal: SL (" in text


def test_false_alarms_are_as_rare_as_promised(monkeypatch):
    """Of equal systems at most about one in twenty is said to differ."""
    monkeypatch.setattr("semad.metrics.statistics.RESAMPLES", 60)
    rng, wrong, trials = np.random.default_rng(3), 0, 60
    for _ in range(trials):
        _, labels, numbers = items(images=15, per_image=10, rng=rng)
        pair = [entry(name, labels, numbers, 0.7, rng) for name in ("a", "b")]
        found = compare(pair, "a")[1]["auroc"]["difference"]
        wrong += found["p"] < 0.05
    assert wrong <= stats.binom.ppf(0.999, trials, 0.05)
