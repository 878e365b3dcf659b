"""Metrics of weighted images and comparisons, against sklearn, by hand, and on draws."""

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

from semad.errors import UserError
from semad.metrics import pixels, ranking
from semad.metrics.ranking import metric_names
from semad.metrics.statistics import (
    ComparedSystem,
    bin_scores,
    compare,
    difference,
    draws,
    from_bins,
    holm,
    sample,
    verdict,
    weighted_metrics,
)

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def same_draws():
    """Each test draws the same, whichever ran before it."""
    RNG.bit_generator.state = np.random.default_rng(0).bit_generator.state


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


def test_bins_by_hand(monkeypatch):
    """Edges at the quartiles 1.75, 2 and 2.25 of 1, 2, 2 and 3, and just above the threshold 2."""
    monkeypatch.setattr(pixels, "BINS", 8)
    scores, labels = np.array([1.0, 2.0, 2.0, 3.0]), np.array([False, False, True, False])
    binned = bin_scores(scores, labels, np.array([0, 0, 2, 2]), 2.0)
    # Bins: below 1.75, below 2, exactly 2, below 2.25, above.
    assert binned.normal.toarray().tolist() == [[1, 0, 1, 0, 0], [0] * 5, [0, 0, 0, 0, 1]]
    assert binned.anomalous.toarray().tolist() == [[0] * 5, [0] * 5, [0, 0, 1, 0, 0]]
    assert binned.limit == 3
    # A threshold between two edges: all above the next number is above it.
    assert bin_scores(scores, labels, np.array([0, 0, 2, 2]), 1.75).limit == 2


def test_of_bins_those_above_the_threshold_count():
    edges = np.array([1.0, 2.0, 3.0])
    counts = np.array([[1, 2, 3, 4]]), np.array([[5, 6, 7, 8]])
    for threshold, limit in ((0.5, 1), (1.0, 2), (2.5, 3)):
        binned = from_bins(*counts, edges, threshold)
        assert binned.limit == limit
        precision, recall = weighted_metrics(binned, np.ones(1))[2:4]
        right, wrong = counts[1][0, limit:].sum(), counts[0][0, limit:].sum()
        assert precision == pytest.approx(right / (right + wrong))
        assert recall == pytest.approx(right / 26)


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
    for weights in ([1, 2, 0, 0], [0, 0, 1, 2]):
        values = weighted_metrics(one, np.array(weights))
        assert len(values) == len(metric_names())
        assert np.isnan(values).all()
    assert not np.isnan(weighted_metrics(one, np.array([1, 0, 0, 1]))).any()


def test_draws_are_of_whole_images():
    weights = draws(7, 0)
    assert (weights.sum(axis=1) == 7).all()
    assert weights.std(axis=0).min() > 0
    np.testing.assert_array_equal(weights, draws(7, 0))
    assert weights.shape == (400, 7)
    assert weights.mean(axis=0) == pytest.approx(np.ones(7), abs=0.2)  # each as often as the others
    assert (weights != draws(7, 1)).any()


def test_samples_of_a_system():
    """On the images as they are, then on each resample; a row per seed."""
    scores, labels, numbers = items(images=3, per_image=8)
    seeds = [bin_scores(sign * scores, labels, numbers, 0.5) for sign in (1, -1)]
    weights = np.array([[3, 0, 0], [1, 1, 1]])
    whole = sample(ComparedSystem("system", seeds, fixed=True), weights)
    assert (whole.images, whole.fixed) == (3, True)
    assert whole.samples.shape == (2, 2, len(metric_names()))
    np.testing.assert_array_equal(whole.values, whole.samples[1])
    first = numbers == 0
    for seed, sign in enumerate((1, -1)):
        for part, found in (
            (slice(None), whole.values[seed]),
            (first, whole.samples[0, seed]),
        ):
            expected = metrics.roc_auc_score(labels[part], sign * scores[part])
            assert found[0] == pytest.approx(expected, abs=1e-9)


def entry(name, labels, numbers, shift, rng, seeds=3):
    draws_ = [rng.normal(size=len(labels)) + shift * labels for _ in range(seeds)]
    return ComparedSystem(name, [bin_scores(one, labels, numbers, 1.0) for one in draws_])


@pytest.fixture
def compared(monkeypatch):
    """Rows of four systems on 6 images, and what they were made of."""
    monkeypatch.setattr("semad.metrics.statistics.RESAMPLES", 9)
    rng = np.random.default_rng(2)
    _, labels, numbers = items(images=6, per_image=12, rng=rng)
    systems = [
        entry("first", labels, numbers, 0.8, rng, seeds=2),
        entry("second", labels, numbers, 1.2, rng, seeds=2),
        entry("third", labels, numbers, 0.9, rng, seeds=1),
        entry("fixed", labels, numbers, 0.1, rng, seeds=1)._replace(fixed=True),
    ]
    return systems, compare(systems, "first", seed=4)


def test_a_comparison_row_by_row(compared):
    systems, rows = compared
    weights = draws(6, 4)
    assert [row["name"] for row in rows] == ["first", "second", "third", "fixed"]
    assert [row["seeds"] for row in rows] == [2, 2, 1, 1]
    samples = [sample(system, weights) for system in systems]
    for system, row in zip(samples, rows, strict=True):
        for number, name in enumerate(metric_names()):
            values = system.values[:, number]
            assert row[name]["mean"] == pytest.approx(values.mean())
            several = len(values) > 1
            assert row[name]["std"] == (pytest.approx(values.std(ddof=1)) if several else None)
            means = system.samples[:, :, number].mean(axis=1)
            ends = np.quantile(means, [0.025, 0.975])
            assert row[name]["interval"] == pytest.approx(ends.tolist())
    for number, name in enumerate(metric_names()):
        assert set(rows[0][name]) == {"mean", "std", "interval"}
        found = [row[name]["difference"] for row in rows[1:]]
        for row, system in zip(found, samples[1:], strict=True):
            expected = difference(system, samples[0])[number]
            assert {key: row[key] for key in expected} == expected
        assert "p_holm" not in found[1]  # one seed: not tested, so not among the tests
        adjusted = holm([found[0]["p"], found[2]["p"]])
        assert [found[0]["p_holm"], found[2]["p_holm"]] == adjusted


def test_a_system_alone(compared):
    systems, rows = compared
    (row,) = compare(systems[2:3], "third", seed=4)
    without = {name: rows[2][name] for name in ("name", "seeds")}
    for name in metric_names():
        without[name] = {key: rows[2][name][key] for key in ("mean", "std", "interval")}
    assert row == without


def test_resamples_are_those_of_seed_0_unless_another_is_named(compared):
    systems, rows = compared
    assert compare(systems, "first") == compare(systems, "first", seed=0) != rows


def test_test_data_of_one_class():
    _, _, numbers = items(images=2)
    message = "^the test data are all normal or all anomalous, so nothing can be ranked$"
    for same in (True, False):
        alone = entry("one", np.full(len(numbers), same), numbers, 0.5, RNG, seeds=1)
        with pytest.raises(UserError, match=message):
            compare([alone], "one")


def test_what_is_alike_is_within_noise_and_what_is_not_is_beyond(monkeypatch):
    monkeypatch.setattr("semad.metrics.statistics.RESAMPLES", 60)
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
    """Of equal systems at most about one in twenty is said to differ, by AUROC."""
    monkeypatch.setattr("semad.metrics.statistics.RESAMPLES", 40)
    monkeypatch.delitem(ranking.RANKING, "average_precision")
    monkeypatch.setattr(ranking, "AT_THRESHOLD", {})
    rng, wrong, trials = np.random.default_rng(3), 0, 60
    for _ in range(trials):
        _, labels, numbers = items(images=15, per_image=10, rng=rng)
        pair = [entry(name, labels, numbers, 0.7, rng) for name in ("a", "b")]
        found = compare(pair, "a")[1]["auroc"]["difference"]
        wrong += found["p"] < 0.05
    assert wrong <= stats.binom.ppf(0.999, trials, 0.05)
