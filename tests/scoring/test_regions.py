"""An image's score, its defects and their measures, by hand."""

import tracemalloc

import numpy as np
import pytest
from scipy import ndimage
from skimage import measure
from skimage.morphology import area_opening

from semad.scoring import regions as scoring
from semad.scoring.image_scores import ImageScorer
from semad.scoring.regions import area_level, regions
from semad.scoring.rle import decode
from semad.scoring.thresholds import Thresholds

RNG = np.random.default_rng(0)
LIMITS = Thresholds(image=5.0, pixel=2.0, core=5.0)


def segment(values, thresholds, pooling, min_area):
    score = ImageScorer(pooling, min_area)(values)
    return scoring.segment(values, score, thresholds, min_area)


def field():
    """A large defect (3×4, core of 2×2), a faint one, and a single bright pixel."""
    values = np.zeros((12, 16), np.float32)
    values[2:5, 3:7] = 3
    values[2:4, 3:5] = 8
    values[8:11, 2:6] = 4
    values[9, 12] = 20
    return values


@pytest.mark.parametrize("area", [1, 2, 5, 20, 63])
def test_the_score_is_the_maximum_of_the_area_opening(area):
    values = RNG.normal(size=(8, 8)).astype(np.float32)
    opened = area_opening(values, area, connectivity=2)
    assert area_level(values, area) == opened.max()


@pytest.mark.parametrize("bands", [1, 20, 2**22])
def test_bands_and_ties_change_nothing(monkeypatch, bands):
    """What is done row by row, or by a sample of the levels, gives the same as at once."""
    monkeypatch.setattr(scoring, "_BAND", bands)
    for number in range(20):
        values = np.round(ndimage.gaussian_filter(RNG.normal(size=(23, 17)), 1) * 8) / 8
        values = values.astype(np.float32)
        for area in (1, 6, 400):
            expected = area_opening(values, area, connectivity=2).max() if area < 391 else None
            score = area_level(values, area)
            assert score == (values.min() if expected is None else expected)
        mask = values > RNG.choice(values.ravel())
        properties = measure.regionprops(measure.label(mask, connectivity=2), values)
        expected = [(p.bbox, p.centroid, int(p.area), float(p.intensity_max)) for p in properties]
        measured = [region[:4] for region in regions(values, mask)]
        assert measured == sorted(expected, key=lambda region: -region[3]), number
        limits = Thresholds(0.3, float(RNG.normal(0.3)), 0.3)
        labels = measure.label(values > min(limits.core, limits.pixel), connectivity=2)
        cores = np.unique(labels[area_opening(values, 3, connectivity=2) > 0.3])
        assert (segment(values, limits, "max", 3) == np.isin(labels, cores)).all()


@pytest.mark.parametrize("area", [1, 20])
def test_a_score_takes_little_memory(area):
    """Five bytes per pixel, a mask and its labels, and what a sorted copy of the map would not."""
    values = ndimage.gaussian_filter(RNG.random((1000, 1000), np.float32), 4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scoring, "_BAND", 2**14)
        tracemalloc.start()
        score = area_level(values, area)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert values.mean() < score <= values.max()
    assert peak < 6.5 * values.size


def test_the_score_of_a_map():
    values = field()
    assert [area_level(values, area) for area in (1, 4, 5, 12, 13)] == [20, 8, 4, 4, 0]
    assert area_level(values, values.size) == values.min()


def test_a_defect_has_a_core_and_reaches_further():
    found = segment(field(), LIMITS, "max", min_area=4)
    expected = np.zeros(found.shape, bool)
    expected[2:5, 3:7] = True
    np.testing.assert_array_equal(found, expected)


def test_without_a_core_there_is_no_defect():
    assert not segment(field(), LIMITS, "max", min_area=5).any()
    assert segment(field(), LIMITS, "max", min_area=1).sum() == 12 + 1


@pytest.mark.parametrize("limit", [-0.5, 0.3, 1.0, 2.5])
@pytest.mark.parametrize("area", [1, 3, 9])
def test_a_defect_there_is_exactly_where_the_score_exceeds_the_threshold(limit, area):
    for _ in range(20):
        values = RNG.normal(size=(9, 9)).astype(np.float32)
        above = area_level(values, area) > limit
        assert segment(values, Thresholds(limit, limit - 0.5, limit), "max", area).any() == above


def test_by_the_mean_every_region_above_the_pixel_threshold_counts():
    found = segment(field(), Thresholds(image=0.1, pixel=2.0), "mean", min_area=2)
    assert found.sum() == 24
    assert not segment(field(), Thresholds(image=99.0, pixel=2.0), "mean", 2).any()


def test_measures():
    values = field()
    first, second = regions(values, values > 2.5)[1:]
    assert regions(values, values > 2.5)[0].area == 1  # the highest peak comes first
    assert first[:4] == ((2, 3, 5, 7), (3.0, 4.5), 12, 8.0)
    assert second[:4] == ((8, 2, 11, 6), (9.0, 3.5), 12, 4.0)
    assert decode(first.rle, first.box, len(values)).all()
    assert regions(values, np.zeros_like(values, bool)) == []
