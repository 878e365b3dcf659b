"""Synthetic defects, and what is ranked by them."""

from functools import partial

import jax.numpy as jnp
import numpy as np
import pytest

from semad.scoring.batched import PatchScores
from semad.scoring.image_scores import POOLINGS
from semad.scoring.maps import map_images
from semad.scoring.tiling import MapTiling
from semad.selection.validator import (
    PIXEL_RATES,
    PIXELS,
    SIDE,
    WEIGHTS,
    Setting,
    Trial,
    rank,
    rank_pixel_rates,
    rank_poolings,
    try_on,
)
from semad.synthetic.planted import COVERAGE, FAMILIES, Planted, has_content, plant

RNG = np.random.default_rng(3)


def images(dtype=np.uint8, channels=1):
    """Two smooth images of different sizes, with a little noise."""
    top = np.iinfo(dtype).max
    for height, width in ((96, 128), (64, 80)):
        waves = np.sin(np.arange(height) / 7)[:, None] + np.cos(np.arange(width) / 9)
        noisy = 0.5 + 0.2 * waves[..., None] + 0.02 * RNG.standard_normal((height, width, channels))
        yield np.round(np.clip(noisy, 0, 1) * top).astype(dtype)


@pytest.mark.parametrize(("dtype", "channels"), [(np.uint8, 1), (np.uint16, 3)])
def test_planted_images(dtype, channels):
    normal = list(images(dtype, channels))
    planted = plant(normal, [32])
    assert [one.family for one in planted] == [name for name in FAMILIES for _ in normal]
    for one, before in zip(planted, normal * len(FAMILIES), strict=True):
        assert (one.image.dtype, one.image.shape) == (before.dtype, before.shape)
        assert one.mask.shape == before.shape[:2]
        assert COVERAGE <= one.mask.mean() < 0.5
        changed = (one.image != before).any(axis=2)
        assert changed[one.mask].mean() > 0.3, one.family
        assert changed[~one.mask].mean() < 0.1, one.family  # soft rims


def test_planting_follows_from_the_seed():
    normal = list(images())
    first, again, other = (plant(normal, [32], seed) for seed in (0, 0, 1))
    for a, b, c in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(a.image, b.image)
        assert (a.mask != c.mask).any()


@pytest.mark.parametrize(
    ("raised", "chosen"), [("all but the highest", "mean"), ("all", "several")]
)
def test_several_is_preferred_unless_another_pooling_is_better(raised, chosen):
    """Planted maps have a higher mean; their highest 3 % are as high as normal ones', or higher."""
    normal = [np.linspace(0, 1, 400).reshape(20, 20) + number / 100 for number in range(8)]
    limit = 0.9 if raised == "all but the highest" else np.inf
    planted = [values + (values < limit) * 0.045 for values in normal]
    images = [Planted("film", np.zeros((20, 20, 1), np.uint8), np.ones((20, 20), bool))] * 8
    trial = Trial(images, [{"s": values} for values in planted], [{"s": v} for v in normal])
    poolings = rank_poolings(trial, Setting("s", 0.0), min_area=1)
    assert poolings.chosen == chosen
    best = max(poolings.aurocs.values())
    assert poolings.aurocs["several"] == (0.5 if chosen == "mean" else best)


@pytest.mark.parametrize(("images", "chosen"), [(8, "several"), (200, "mean")])
def test_a_lead_within_a_standard_error_does_not_count(images, chosen):
    """A fifth of the planted maps have a higher mean alone: AUROC .6 against .5."""
    normal = [np.linspace(0, 1, 400).reshape(20, 20)] * images
    raised = [values + (values < 0.9) * 0.05 * (i % 5 == 0) for i, values in enumerate(normal)]
    planted = Planted("film", np.zeros((20, 20, 1), np.uint8), np.ones((20, 20), bool))
    trial = Trial([planted] * images, [{"s": v} for v in raised], [{"s": v} for v in normal])
    assert rank_poolings(trial, Setting("s", 0.0), min_area=1).chosen == chosen


def test_a_perfect_ranking_still_has_an_error():
    """`mean` is right in all of 16 pairs, `max` and `top` wrong in one, and so is `several`."""
    normal = [np.full((20, 20), 0.01 * number) for number in range(4)]
    raised = [values + 1 for values in normal]
    for values in (*normal, *raised):
        values[0, :12] = 5  # the highest 3 %, as high everywhere
    for number, values in enumerate(raised):
        values[0, :12] = 6 + number
    normal[0][0, :12] = 6.5
    image = Planted("film", np.zeros((20, 20, 1), np.uint8), np.ones((20, 20), bool))
    trial = Trial([image] * 4, [{"s": v} for v in raised], [{"s": v} for v in normal])
    poolings = rank_poolings(trial, Setting("s", 0.0), min_area=1)
    assert (poolings.aurocs["mean"], poolings.aurocs["several"]) == (1, 15 / 16)
    assert poolings.chosen == "several"


def test_what_finds_the_defects_ranks_first():
    """On a flat image the grey value is the defect's own map; noise finds nothing."""
    normal = [np.full((64, 96, 1), 100, np.uint8)]

    def scorer(member, patches, absent=None):
        pixels = jnp.asarray(patches, jnp.float32)[..., 0]
        maps = {"oracle": jnp.abs(pixels - 100), "blind": jnp.zeros(pixels.shape)}
        return PatchScores({"mean": pixels.mean((1, 2))}, maps, pixels[..., None])

    mapper = partial(map_images, scorer, None, tiling=MapTiling(16, 16, 8))
    trial = try_on(mapper, normal)
    ranked = rank(trial, smoothings=(0.0, 4.0))
    one_each = try_on(mapper, normal, coverage=0.0)
    assert all(0 < one.mask.mean() < 0.2 for one in one_each.planted)
    poolings = rank_poolings(one_each, ranked[0].setting, min_area=5)
    assert poolings.aurocs.keys() == set(POOLINGS)
    assert poolings.aurocs["max"] > 0.5
    assert len(ranked) == 3 * 2
    values = {one.setting: one.value for one in ranked}
    assert max(values, key=values.get) == ranked[0].setting
    shares = {one.family: one.mask.mean() for one in plant(normal, [32])}
    for one in ranked:
        assert one.families.keys() == WEIGHTS.keys()
        expected = sum(WEIGHTS[name] * value for name, value in one.families.items())
        assert one.value == pytest.approx(expected / sum(WEIGHTS.values()))
        if one.setting.score == "blind":  # all pixels tie: precision is the share of defects
            assert one.families == pytest.approx(shares)
    # On a flat image a bead differs by its relief; a copy, a fill as flat and a blur by nothing.
    exact = next(one for one in ranked if one.setting == ("oracle", 0.0))
    assert exact.families["bead"] > 0.5
    assert exact.families["cutpaste"] == pytest.approx(shares["cutpaste"])
    assert ranked[0].setting.score == "oracle"
    again = rank(trial, smoothings=(0.0,), excluded_families=("bead",))
    families = again[0].families
    kept = {name: weight for name, weight in WEIGHTS.items() if name != "bead"}
    expected = sum(weight * families[name] for name, weight in kept.items()) / sum(kept.values())
    assert again[0].value == pytest.approx(expected)


def test_of_many_images_an_even_share_is_tried():
    """As long for five hundred images as for five, and a large one does not fill the memory."""
    seen = []

    def mapper(images):
        seen.extend(images)
        return [{"flat": np.zeros(image.shape[:2])} for image in images]

    many = [np.full((SIDE // 2, SIDE * 2, 1), number, np.uint8) for number in range(100)]
    trial = try_on(mapper, many)
    count = PIXELS // (SIDE // 2 * SIDE)
    assert len(trial.clean) == count
    assert [image[0, 0, 0] for image in seen[-count:]] == list(np.linspace(0, 99, count, dtype=int))
    assert all(image.shape == (SIDE // 2, SIDE, 1) for image in seen)


def textured(share):
    """Texture beside a plain background that takes up a share of the columns."""
    image = np.full((96, 120, 1), 40, np.uint8)
    start = round(share * 120)
    image[:, start:] = RNG.integers(60, 200, (96, 120 - start, 1))
    return image


def test_defects_lie_where_images_show_something():
    image = textured(0.6)
    content = has_content(image)
    assert not content[:, :50].any()
    assert content[:, 90:].all()
    assert has_content(textured(0.0)).all()
    assert has_content(np.full((40, 50, 1), 7, np.uint8)).all()  # nowhere, so anywhere
    for one in plant([image], [8], coverage=0.0):
        assert not one.mask[:, :40].any(), one.family


def test_large_defects_for_every_other_image():
    normal = [textured(0.0)] * 4
    small, large = (
        [one.mask.mean() for one in plant(normal, sizes, coverage=0.0)] for sizes in ([8], [8, 48])
    )
    ratio = np.array(large).reshape(-1, 4).mean(axis=0) / np.array(small).reshape(-1, 4).mean(
        axis=0
    )
    assert ratio[[0, 2]] == pytest.approx([1, 1])
    assert (ratio[[1, 3]] > 8).all()


def test_outlines_that_fit_planted_defects_best():
    """A cone, and clean maps of which 1 % is above 20: there the outline is the mask."""
    y, x = np.mgrid[:80, :80]
    cone = np.maximum(0.0, 30.0 - np.hypot(y - 40, x - 40))
    cone[0, 0] = 99  # a false alarm elsewhere is no part of the outline
    clean = np.linspace(0, 20 / 0.99, 100_000)[None]
    mask = cone > 20
    mask[0, 0] = False
    planted = Planted("film", np.zeros((80, 80, 1), np.uint8), mask)
    other = planted._replace(family="speck", mask=cone > 5)
    trial = Trial([planted, other], [{"a": cone}] * 2, [{"a": clean}])
    found = rank_pixel_rates(trial, Setting("a", 0.0), ["speck"])
    assert found.keys() == set(PIXEL_RATES)
    assert max(found, key=found.get) == 0.01
    assert found[0.01] == 1
    level = np.quantile(clean, 0.95)
    assert found[0.05] == pytest.approx(mask.sum() / ((cone > level).sum() - 1), rel=0.01)
