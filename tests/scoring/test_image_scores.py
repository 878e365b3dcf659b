"""Scores of images from their maps, by hand."""

import numpy as np
import pytest

from semad.scoring.image_scores import (
    POOLINGS,
    ImageScorer,
    Scales,
    fitted,
    levels_of,
    pooled,
    top_mean,
)

RNG = np.random.default_rng(3)


def test_each_pooling_by_hand():
    values = np.arange(50.0).reshape(5, 10)
    large = np.arange(100.0).reshape(10, 10)
    assert pooled(values, "max", 1) == 49
    assert pooled(values, "max", 3) == 47
    assert pooled(large, "top", 1) == 98  # of 97 to 99
    assert top_mean(values, 0.1) == 47  # of 45 to 49
    assert pooled(values, "mean", 1) == 24.5
    assert pooled(np.array([[1.0, 2.0]]), "top", 1) == 2  # at least a pixel


def test_several_is_the_more_unusual_of_two():
    """A speck by `max`, a region by `top`, each in deviations of its own."""
    scorer = ImageScorer("several", 1, Scales((2.5, 1.0), (1.0, 0.5)))
    speck = np.zeros((10, 10))
    speck[0, 0] = 10
    assert scorer(speck) == pytest.approx((10 - 2.5) / 1)  # `top`: 10 / 3 of 3 pixels
    region = np.zeros((10, 10))
    region[0] = 3
    assert scorer(region) == pytest.approx((3 - 1) / 0.5)  # `max`: 0.5
    assert scorer.core(1.5) == 4  # the highest pixel at which `max` says 1.5


def test_what_is_fitted_to_normal_images():
    maps = [np.full((10, 10), float(level)) for level in range(101)]
    levels = levels_of(maps, "several", 1)
    np.testing.assert_array_equal(levels, np.arange(101.0)[:, None].repeat(2, axis=1))
    scorer = fitted("several", 1, levels)
    assert scorer.scales == Scales((50.0, 50.0), (34.0, 34.0))
    assert scorer.of_levels(levels)[[0, 84]].tolist() == [-50 / 34, 1] == [*map(scorer, maps[::84])]
    assert fitted("max", 4, levels) == ImageScorer("max", 4)
    assert fitted("several", 1, levels[:1]).scales.scale == (1e-6, 1e-6)  # of one image: no spread
    assert fitted("several", 1, levels[7:8]).scales.scale == (7.0, 7.0)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_where_a_score_has_a_level_of_the_map(pooling):
    """`core` is the level of `max` that alone makes a score of `limit`."""
    maps = [RNG.normal(size=(12, 12)) for _ in range(20)]
    scorer = fitted(pooling, 3, levels_of(maps, pooling, 3))
    core = scorer.core(1.0)
    assert (core is None) == (pooling in ("top", "mean"))
    if core is not None:
        speck = np.full((12, 12), -100.0)
        speck[0, :3] = core
        assert scorer(speck) == pytest.approx(1.0)
