"""Pixel metrics against scikit-learn on raw scores, and against cases counted by hand."""

import numpy as np
import pytest
from sklearn import metrics

from semad.errors import UserError
from semad.metrics import pixels

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def same_draws():
    """Each test draws the same, whichever ran before it."""
    RNG.bit_generator.state = np.random.default_rng(0).bit_generator.state


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
    assert pixels.coverage(values, mask, 0.0).tolist() == [1.0, 1.0]
    assert pixels.coverage(values, mask, 5.0).tolist() == [0.0, 0.0]


@pytest.fixture
def few_bins(monkeypatch):
    """Edges at quartiles: two images of four pixels, a defect of two and two of one."""
    monkeypatch.setattr(pixels, "BINS", 8)
    maps = [np.array([[0.0, 1.0, 2.0, 3.0]]), np.array([[4.0, 5.0, 6.0, 7.0]])]
    masks = [np.array([[False, False, True, True]]), np.array([[True, False, True, False]])]
    return maps, masks


def test_edges_by_hand(few_bins):
    maps, masks = few_bins
    # Of 0 … 7 the quartiles are 1.75, 3.5 and 5.25; of 2, 3, 4 and 6 they are 2.75, 3.5 and 4.5.
    edges = [1.75, 2.75, 3.5, 4.5, 5.25]
    assert pixels.bin_edges(maps, masks).tolist() == edges
    assert pixels.bin_edges(maps, [mask & False for mask in masks]).tolist() == edges[::2]
    with pytest.raises(ValueError, match="shorter"):
        pixels.bin_edges(maps, masks[:1])


def test_counts_by_hand(few_bins):
    """Bins are 0 and 1 | 2 | 3 | 4 | 5 | 6 and 7."""
    counts = pixels.count(*few_bins)
    assert counts.edges.tolist() == [1.75, 2.75, 3.5, 4.5, 5.25]
    assert counts.normal.tolist() == [[2, 0, 0, 0, 0, 0], [0, 0, 0, 0, 1, 1]]
    assert counts.anomalous.tolist() == [[0, 1, 1, 0, 0, 0], [0, 0, 0, 1, 0, 1]]
    assert counts.overlap.tolist() == [[0, 0.5, 0.5, 0, 0, 0], [0, 0, 0, 1, 0, 1]]
    assert counts.defects.tolist() == [1, 2]


def test_a_threshold_is_an_edge_above_which_counts_are_exact(few_bins):
    counts = pixels.count(*few_bins, threshold=6.0)
    assert counts.edges.tolist()[-2:] == [5.25, np.nextafter(6.0, 7.0)]
    above = np.searchsorted(counts.edges, 6.0, side="right") + 1
    assert counts.normal[:, above:].sum() == 1  # 7 alone: 6 is at the threshold, not above it
    assert counts.anomalous[:, above:].sum() == 0
    at_a_score = pixels.count(*few_bins, threshold=5.25)
    assert len(at_a_score.edges) == 6


def test_a_score_at_an_edge_is_in_the_bin_above_it():
    maps, masks = [np.array([[1.0, 1.0, 2.0]])], [np.array([[False, True, False]])]
    counts = pixels.count(maps, masks)
    assert counts.edges[0] == 1.0
    assert counts.normal[0, 0] == counts.anomalous[0, 0] == 0
    assert counts.anomalous[0, 1] == 1


def test_counts_are_kept(tmp_path, few_bins):
    counts = pixels.count(*few_bins)
    kept = {"a/l1": counts, "b": pixels.count(*few_bins, threshold=6.0)}
    path = tmp_path / "counts.npz"
    pixels.save(path, ["x", "y"], kept)
    back = pixels.load(path)
    assert list(back) == ["a/l1", "b"]
    for name, expected in kept.items():
        for field, values in expected._asdict().items():
            np.testing.assert_array_equal(getattr(back[name], field), values)
    with np.load(path) as arrays:
        assert arrays["image_ids"].tolist() == ["x", "y"]
        assert "a/l1/normal" in arrays
    np.savez(path, **{"a/normal": np.array([{}], object)})
    with pytest.raises(UserError, match="allow_pickle"):
        pixels.load(path)


def test_the_curve_by_hand(few_bins):
    labels, scores, weights = pixels.curve(pixels.count(*few_bins))
    assert labels.tolist() == [False] * 3 + [True] * 4
    assert scores.tolist() == [0, 4, 5, 1, 2, 3, 5]
    assert weights.tolist() == [2, 1, 1, 1, 1, 1, 1]


def test_figures_of_maps_by_hand():
    """Ten normal pixels a bin, of forty; of two defects half and all above the highest bin's edge.

    From the highest bin down the false-positive rate is 1/4 a bin; the overlap is 3/4, 3/4, 1, 1.
    """
    counts = pixels.Counts(
        normal=np.array([[10, 10, 10, 10]]),
        anomalous=np.array([[0, 2, 0, 3]]),
        overlap=np.array([[0, 0.5, 0, 1.5]]),
        defects=np.array([2]),
        edges=np.arange(3.0),
    )
    found = pixels.pixel_metrics(counts)
    # Up to 1/4 a line from 0 to 3/4, and level up to 0.3.
    area = 0.25 * 0.375 + 0.05 * 0.75
    assert found["region_overlap"] == pytest.approx(area / 0.3)
    assert found["tpr_at_fpr"] == pytest.approx(0.6 * 0.05 / 0.25)
    # Of 5 · 40 pairs: three above thirty and level with ten, two above ten and level with ten.
    assert found["auroc"] == pytest.approx((3 * 35 + 2 * 15) / 200)
    # A bin that ends at the limit.
    twice = counts._replace(normal=np.array([[40, 20, 10, 30]]))
    assert pixels.pixel_metrics(twice)["region_overlap"] == pytest.approx(0.375)
    # A bin without normal pixels that begins at the limit has no area: a line from 0 to 3/4.
    step = counts._replace(normal=np.array([[60, 10, 0, 30]]), overlap=np.array([[0, 0, 0.5, 1.5]]))
    assert pixels.pixel_metrics(step)["region_overlap"] == pytest.approx(0.375)


def test_one_class_alone_has_no_figures(few_bins):
    maps, masks = few_bins
    nothing = dict.fromkeys(pixels.pixel_metric_names())
    for same in (True, False):
        counts = pixels.count(maps, [np.full_like(mask, same) for mask in masks])
        assert pixels.pixel_metrics(counts) == nothing
        assert pixels.intervals(counts, seed=0) == nothing


def test_intervals_by_hand(monkeypatch):
    """Whole images drawn with replacement; draws of one class alone count for nothing."""

    def edge(counts):
        return counts.edges[0] * counts.normal.sum()

    monkeypatch.setattr(pixels, "RESAMPLES", 60)
    monkeypatch.setitem(pixels.OF_PIXELS, "edge", edge)
    maps, masks = draw(images=6, size=64)
    counts = pixels.count(maps, [mask & (number < 2) for number, mask in enumerate(masks)])
    rng, drawn = np.random.default_rng(5), []
    for _ in range(60):
        rows = rng.integers(0, 6, 6)
        if (rows < 2).any():
            part = pixels.Counts(*(values[rows] for values in counts[:-1]), counts.edges)
            drawn.append(pixels.pixel_metrics(part))
    assert len(drawn) < 60
    found = pixels.intervals(counts, seed=5)
    assert list(found) == list(pixels.pixel_metric_names())
    for name, interval in found.items():
        values = np.array([sample[name] for sample in drawn])
        assert interval == pytest.approx(np.quantile(values, [0.025, 0.975]).tolist())
    values = [sample["auroc"] for sample in drawn]
    assert len({*np.quantile(values, [1 / 60, 0.025, 0.1])}) == 3  # other tails end elsewhere
    alone = pixels.Counts(*(values[:1] for values in counts[:-1]), counts.edges)
    assert pixels.intervals(alone, seed=0) == dict.fromkeys(pixels.pixel_metric_names())
    pair = pixels.Counts(*(values[:2] for values in counts[:-1]), counts.edges)
    assert pixels.intervals(pair, seed=0)["auroc"] is not None


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
    assert pixels.count([np.eye(2)], [mask]).defects.tolist() == [1]
    assert pixels.coverage(np.array([[1.0, 0], [0, 0]]), mask, 0.5).tolist() == [0.5]


def test_images_without_defects_count_as_normal():
    maps, masks = draw(images=3)
    clean = RNG.normal(size=maps[0].shape)
    counts = pixels.count([*maps, clean], [*masks, np.zeros_like(masks[0])])
    assert counts.defects.tolist() == [2, 2, 2, 0]
    assert counts.normal[3].sum() == clean.size
    nothing = pixels.count([clean], [np.zeros_like(masks[0])])
    assert set(pixels.pixel_metrics(nothing).values()) == {None}


def test_intervals_hold_the_figure_and_shrink_with_more_images(monkeypatch):
    monkeypatch.setattr(pixels, "RESAMPLES", 40)
    widths = []
    for images in (4, 24):
        maps, masks = draw(images=images)
        counts = pixels.count(maps, masks)
        low, high = pixels.intervals(counts, seed=0)["auroc"]
        assert low <= pixels.pixel_metrics(counts)["auroc"] <= high
        widths.append(high - low)
    assert widths[1] < widths[0]
    assert pixels.intervals(counts, seed=0) == pixels.intervals(counts, seed=0)
