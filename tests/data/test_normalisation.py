"""What the networks see of a patch, against NumPy."""

import jax
import numpy as np
import pytest

from semad.data.normalisation import NORMALISATIONS, displayed, normalise
from semad.run.state import init_population, member
from semad.scoring.batched import ScoringState, make_scorer
from tests import tiny

PATCHES = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3)).astype(np.uint8)


def test_the_whole_range_maps_to_minus_one_and_one():
    for dtype, top in ((np.uint8, 255), (np.uint16, 65535)):
        values = normalise(np.array([0, top], dtype).reshape(1, 1, 2, 1), "range")
        np.testing.assert_allclose(values.ravel(), [-1, 1], atol=1e-6)


def test_shares_of_the_range_are_normalised_as_the_integers_are():
    for how in NORMALISATIONS:
        shares = normalise(PATCHES / np.float32(255), how)
        np.testing.assert_allclose(shares, normalise(PATCHES, how), rtol=1e-5, atol=1e-5)


def test_each_patch_and_channel_is_standardised_by_itself():
    levels = PATCHES.astype(np.float64)
    mean = levels.mean(axis=(1, 2), keepdims=True)
    expected = (levels - mean) / levels.std(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(normalise(PATCHES, "standardise"), expected, rtol=1e-4, atol=1e-5)


def test_brightness_and_contrast_do_not_show():
    dark = PATCHES // 4
    brighter = 3 * dark + 50
    np.testing.assert_allclose(
        normalise(brighter, "standardise"), normalise(dark, "standardise"), atol=1e-4
    )


def test_nearly_flat_patches_are_divided_by_the_floor():
    """1/√pixels, in grey levels of 8 bits: one pixel of 256 a level up has deviation 1/16."""
    flat = np.full((1, 16, 16, 1), 200, np.uint8)
    np.testing.assert_array_equal(normalise(flat, "standardise"), 0)
    sixteen = np.full((1, 16, 16, 1), 200 * 257, np.uint16)
    sixteen[0, 0, 0, 0] += 26  # about a tenth of a level of 8 bits
    deviation = (26 / 257) * np.sqrt(1 / 256 * (1 - 1 / 256))
    assert deviation < 1 / 16
    expected = (26 / 257) * (1 - 1 / 256) / (1 / 16)
    assert float(normalise(sixteen, "standardise").max()) == pytest.approx(expected, rel=1e-2)


def test_the_depth_of_an_image_does_not_matter():
    deep = PATCHES.astype(np.uint16) * 257
    for how in NORMALISATIONS:
        np.testing.assert_allclose(normalise(deep, how), normalise(PATCHES, how), atol=1e-4)


def test_a_patch_does_not_depend_on_its_neighbours():
    for how in NORMALISATIONS:
        alone = normalise(PATCHES[2:3], how)
        np.testing.assert_allclose(normalise(PATCHES, how)[2:3], alone, rtol=1e-5, atol=1e-6)


def test_pictures_have_one_scale():
    """The same grey for the same value in every patch, and nothing outside [0, 1]."""
    for how in NORMALISATIONS:
        shown = np.asarray(displayed(normalise(PATCHES, how), how))
        assert 0 <= shown.min() < shown.max() <= 1
        assert float(displayed(np.zeros((1, 2, 2, 1), np.float32), how).max()) == 0.5
    np.testing.assert_allclose(
        displayed(normalise(PATCHES, "range"), "range"), PATCHES / 255, atol=1e-6
    )


@pytest.mark.parametrize("name", ["autoencoder", "ganomaly", "dense_discriminator"])
def test_scoring_sees_what_the_config_says(name):
    """A patch and the same with other brightness and contrast: alike when standardised alone."""
    patches = (PATCHES[..., :1] // 4).astype(np.uint8)
    for how, alike in (("standardise", True), ("range", False)):
        run = tiny.prepare(name, data__normalisation=how)
        weights = member(init_population(run.method, [0]), 0).ema
        weights = weights._replace(params=jax.tree.map(lambda leaf: leaf + 0.1, weights.params))
        scorer = make_scorer(run.method)
        own = ScoringState(weights, run.method.hparams, jax.random.key(0))
        one, other = (scorer(own, p).scores for p in (patches, 3 * patches + 50))
        key = run.method.default_score
        assert np.allclose(one[key], other[key], rtol=1e-3, atol=1e-6) == alike
