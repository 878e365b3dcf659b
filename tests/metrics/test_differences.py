"""Differences of systems, p-values adjusted for being several, and the verdict: by hand."""

import math

import numpy as np
import pytest
from scipy import stats

from semad.metrics.statistics import Sampled, difference, holm, verdict
from semad.scoring.thresholds import CONFIDENCE


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
    assert nothing == {"value": pytest.approx(0.1), "interval": None, "p": None}  # one seed


def test_seeds_are_paired_where_both_have_as_many():
    """Differences of pairs have variance 0 / 2; unpaired, 0.02 / 2 and 0.02 / 2 are added."""
    own, other = sampled([0.6, 0.8], [0, 0.2]), sampled([0.5, 0.7], [0, 0])
    (paired,) = difference(own, other)
    error = 0.02**0.5  # of the images alone
    half = stats.t.ppf(0.975, 40) * error
    assert paired["interval"] == pytest.approx([0.1 - half, 0.1 + half])
    for one, two in (
        (own, sampled([0.5, 0.7], [0, 0], fixed=True)),
        (sampled([0.6, 0.8], [0, 0.2], fixed=True), other),
    ):
        (found,) = difference(one, two)
        error = (0.02 / 2 + 0.02) ** 0.5
        freedom = error**4 / (0.01**2 / 1 + 0.02**2 / 40)
        half = stats.t.ppf(0.975, freedom) * error
        assert found["interval"] == pytest.approx([0.1 - half, 0.1 + half])
    (found,) = difference(own, sampled([0.5, 0.6, 0.7], [0, 0]))
    error = (0.02 / 2 + 0.01 / 3 + 0.02) ** 0.5
    freedom = error**4 / ((0.02 / 2 + 0.01 / 3) ** 2 / 1 + 0.02**2 / 40)
    half = stats.t.ppf(0.975, freedom) * error
    assert found["interval"] == pytest.approx([0.1 - half, 0.1 + half])


def test_what_neither_seeds_nor_images_change():
    fixed = sampled([0.75], [0, 0], fixed=True)
    (found,) = difference(fixed, sampled([0.5], [0, 0], fixed=True))
    assert found == {"value": 0.25, "interval": [0.25, 0.25], "p": 0.0}
    (found,) = difference(fixed, fixed)
    assert found == {"value": 0.0, "interval": [0.0, 0.0], "p": 1.0}
    # What the images do to both alike does not count.
    alike = sampled([0.5, 0.75], [0, 0.25]), sampled([0.25, 0.5], [0, 0.25])
    assert difference(*alike) == [{"value": 0.25, "interval": [0.25, 0.25], "p": 0.0}]
    # Of images alone: one seedless value, and a bootstrap of variance .02.
    (found,) = difference(sampled([0.75], [0, 0.2], fixed=True), fixed)
    half = stats.t.ppf(0.975, 40) * 0.02**0.5
    assert found["interval"] == pytest.approx([-half, half])


def test_one_image_says_nothing_of_others():
    own, other = sampled([0.6, 0.8], [0, 0.2]), sampled([0.5, 0.6], [0, 0])
    (found,) = difference(own._replace(images=1), other)
    assert found == {"value": pytest.approx(0.15), "interval": None, "p": None}
    (found,) = difference(own._replace(images=2), other)
    assert found["interval"]


def test_resamples_without_figures_count_for_nothing():
    other = sampled([0.5, 0.6], [0, 0, 0])
    (found,) = difference(sampled([0.5, 0.7], [0, 0.2, math.nan]), other)
    (expected,) = difference(sampled([0.5, 0.7], [0, 0.2]), sampled([0.5, 0.6], [0, 0]))
    assert found == expected


def test_holm_by_hand():
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    # 3 · 0.01, then 2 · 0.012, which is lower and so takes the former's.
    assert holm([0.012, 0.5, 0.01]) == pytest.approx([0.03, 0.5, 0.03])
    assert holm([]) == []


def test_the_verdict_in_sentences():
    def row(name, p_holm, value=0.25, interval=(0.125, 0.375)):
        between = {"value": value, "interval": list(interval), "p_holm": p_holm}
        if p_holm is None:
            between = {"value": value, "interval": None, "p": None}
        return {"name": name, "f1": {"difference": between}}

    rows = [
        {"name": "base", "f1": {"mean": 0.5}},
        row("A", 0.01),
        row("B", 0.049, -0.25, (-0.375, -0.125)),
        row("C", 1 - CONFIDENCE, 0.0625, (-0.0625, 0.1875)),
        row("D", 0.9, 0.0, (-0.5, 0.5)),
        row("E", None),
        row("F", None),
    ]
    apart = "Beyond noise from base: A (+0.250, +0.125 to +0.375), B (-0.250, -0.375 to -0.125)."
    near = "Within noise of base: C (+0.062, -0.062 to +0.188), D (+0.000, -0.500 to +0.500)."
    untested = "Of one seed or one image, so not compared: E, F."
    assert verdict(rows, "base", "f1") == f"{apart} {near} {untested}"
    assert verdict(rows[:3], "base", "f1") == apart
    assert verdict(rows[:1], "base", "f1") == ""
    of_ranking = [{"name": "A", "auroc": row("A", 0.9, 0.0, (-0.5, 0.5))["f1"]}]
    assert verdict(of_ranking, "base").startswith("Within noise of base: A (")
