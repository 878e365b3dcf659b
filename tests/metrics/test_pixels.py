"""Pixel metrics against scikit-learn on raw scores, and against cases counted by hand."""

import numpy as np
import pytest
from sklearn import metrics

from semad.metrics import pixels

RNG = np.random.default_rng(0)


def draw(images=6, size=80):
    """Maps that know something of the masks: two squares of different size in every image."""
    masks = [np.zeros((size, size), bool) for _ in range(images)]
    for number, mask in enumerate(masks):
        mask[5 : 9 + number, 5 : 9 + number] = True
        mask[40:60, 30:37] = True
    maps = [RNG.normal(size=mask.shape) + 1.5 * mask for mask in masks]
    return maps, masks


def test_the_ranking_is_scikit_learn_s_on_raw_scores():
    maps, masks = draw()
    labels, scores = np.concatenate(masks).ravel(), np.concatenate(maps).ravel()
    found = pixels.pixel_metrics(pixels.count(maps, masks))
    assert found["auroc"] == pytest.approx(metrics.roc_auc_score(labels, scores), abs=1e-3)
    precision = metrics.average_precision_score(labels, scores)
    assert found["average_precision"] == pytest.approx(precision, abs=1e-3)
    wrong, right, _ = metrics.roc_curve(labels, scores)
    assert found["tpr_at_fpr"] == pytest.approx(np.interp(0.05, wrong, right), abs=2e-3)


def test_the_region_overlap_is_that_of_its_definition():
    """At every threshold the mean over defects of the share found, against the FPR."""
    maps, masks = draw(images=2, size=70)
    labels, scores = np.concatenate(masks).ravel(), np.concatenate(maps).ravel()
    thresholds = np.sort(scores)[::-1]
    regions = []
    for values, mask in zip(maps, masks, strict=True):
        for rows in (slice(0, 30), slice(30, None)):  # a defect in each half
            part = np.sort(values[rows][mask[rows]])
            found = len(part) - np.searchsorted(part, thresholds, side="left")
            regions.append(found / len(part))
    normal = np.sort(scores[~labels])
    wrong = (len(normal) - np.searchsorted(normal, thresholds, side="left")) / len(normal)
    overlap = np.mean(regions, axis=0)
    limit = wrong <= 0.3
    expected = metrics.auc(wrong[limit], overlap[limit]) / 0.3
    found = pixels.pixel_metrics(pixels.count(maps, masks))
    assert found["region_overlap"] == pytest.approx(expected, abs=2e-3)


def test_by_hand():
    """Four normal pixels and two defects of two and one: scores 5 4 | 3 | 2, ties none."""
    values = np.array([[5.0, 1.0, 2.0, 0.0, 4.0, 3.0, 0.5]])
    mask = np.array([[True, True, False, False, False, False, True]])
    counts = pixels.count([values], [mask])
    assert counts.defects.tolist() == [2]
    assert counts.normal.sum() == 4
    # Anomalous 5, 1, .5 against normal 2, 0, 4, 3: of 12 pairs 4 + 1 + 1 are in order.
    assert pixels.pixel_metrics(counts)["auroc"] == pytest.approx(6 / 12)
    assert pixels.coverage(values, mask, 0.7).tolist() == [1.0, 0.0]
    assert pixels.coverage(values, mask, 1.0).tolist() == [0.5, 0.0]


def test_a_perfect_map_and_a_worthless_one():
    _, masks = draw()
    perfect = [mask.astype(float) for mask in masks]
    found = pixels.pixel_metrics(pixels.count(perfect, masks))
    assert found["auroc"] == found["average_precision"] == found["tpr_at_fpr"] == 1
    assert found["region_overlap"] == pytest.approx(1)
    constant = [np.zeros(mask.shape) for mask in masks]
    found = pixels.pixel_metrics(pixels.count(constant, masks))
    assert found["auroc"] == 0.5
    assert found["tpr_at_fpr"] == pytest.approx(0.05)
    assert found["region_overlap"] == pytest.approx(0.15)  # the diagonal's mean up to .3


def test_touching_at_a_corner_is_one_defect():
    mask = np.array([[True, False], [False, True]])
    assert pixels.coverage(np.array([[1.0, 0], [0, 0]]), mask, 0.5).tolist() == [0.5]


def test_images_without_defects_count_as_normal():
    maps, masks = draw(images=3)
    clean = RNG.normal(size=maps[0].shape)
    counts = pixels.count([*maps, clean], [*masks, np.zeros_like(masks[0])])
    assert counts.defects.tolist() == [2, 2, 2, 0]
    assert counts.normal[3].sum() == clean.size
    nothing = pixels.count([clean], [np.zeros_like(masks[0])])
    assert set(pixels.pixel_metrics(nothing).values()) == {None}


def test_intervals_hold_the_figure_and_shrink_with_more_images():
    widths = []
    for images in (4, 24):
        maps, masks = draw(images=images)
        counts = pixels.count(maps, masks)
        low, high = pixels.intervals(counts, seed=0)["auroc"]
        assert low <= pixels.pixel_metrics(counts)["auroc"] <= high
        widths.append(high - low)
    assert widths[1] < widths[0]
    assert pixels.intervals(counts, seed=0) == pixels.intervals(counts, seed=0)
