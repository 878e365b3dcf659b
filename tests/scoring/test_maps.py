"""Dense maps: coverage, blending, seams, one compilation, and what a tile makes of them."""

import itertools
import threading
import tracemalloc

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from semad.errors import UserError
from semad.run.state import init_population, member
from semad.scoring.batched import PatchScores, ScoringState, make_scorer
from semad.scoring.maps import anomaly_maps, map_images, pool, smooth
from semad.scoring.tiling import MapTiling, positions, window
from semad.utils.pyramid import add_enlarged, pyramid
from tests import tiny

RNG = np.random.default_rng(0)


def draw(height, width):
    return RNG.integers(0, 256, (height, width, 1), np.uint8)


def scorer(member, patches, absent=None):
    """Pixels as a map, and the patch's mean as a score."""
    images = jnp.asarray(patches, jnp.float32)
    return PatchScores({"mean": images.mean((1, 2, 3))}, {"pixel": images[..., 0]}, images)


def maps(image, stride=4, chunk=8, window=0):
    return anomaly_maps(scorer, None, image, MapTiling(16, stride, chunk, window))


@pytest.mark.parametrize(("size", "expected"), [(16, [0]), (17, [0, 1]), (48, [0, 16, 32])])
def test_positions_reach_the_end(size, expected):
    assert positions(size, 16, 16).tolist() == expected


@pytest.mark.parametrize("shape", [(16, 16), (16, 31), (37, 23), (64, 48)])
@pytest.mark.parametrize("stride", [3, 8, 16])
def test_a_score_per_pixel_comes_back_at_every_pixel(shape, stride):
    """Whatever the overlaps: all patches say the same of a pixel, so the blend must too."""
    image = draw(*shape)
    found = maps(image, stride)["pixel"]
    assert found.shape == shape
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, image[..., 0], rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("shape", [(40, 33), (64, 48), (17, 90)])
@pytest.mark.parametrize("windows", [0, 16, 48])
def test_a_map_is_the_mean_over_the_levels_of_a_pyramid(shape, windows):
    """Each mapped by itself; a level smaller than a patch is mirrored.

    Windows are as large in both levels, 16, or in one of 48 and in the other of what fits.
    """
    image = draw(*shape)
    tiling = MapTiling(16, 6, 7, windows, alternate=True)
    whole = anomaly_maps(scorer, None, image, tiling._replace(levels=2), smoothing=1.5)
    parts = [anomaly_maps(scorer, None, level, tiling) for level in pyramid(image, 2, 16)]
    for name, values in whole.items():
        both = parts[0][name].copy()
        add_enlarged(both, parts[1][name], 1)
        expected = smooth(both / 2, 1.5)
        np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-4)
    both = list(map_images(scorer, None, [image[:16, :16]] * 2, tiling._replace(levels=2)))
    assert [maps["pixel"].shape for maps in both] == [(16, 16)] * 2


def test_a_constant_image_has_no_seams():
    found = maps(np.full((41, 37, 1), 77, np.uint8))
    for values in found.values():
        np.testing.assert_allclose(values, 77, rtol=1e-6)


def test_a_shifted_image_has_the_shifted_map():
    image = draw(64, 64)
    first, second = maps(image)["mean"], maps(image[8:, 4:])["mean"]
    np.testing.assert_allclose(first[8 + 16 : -16, 4 + 16 : -16], second[16:-16, 16:-16], rtol=1e-5)


def test_a_score_of_patches_is_blended_by_the_window():
    """Two patches side by side, half of each shared: the weighted mean, by hand."""
    image = draw(16, 24)
    left, right = image[:, :16].mean(), image[:, 8:].mean()
    w = window(16)
    expected = np.concatenate(
        [
            np.full((16, 8), left),
            (w[:, 8:] * left + w[:, :8] * right) / (w[:, 8:] + w[:, :8]),
            np.full((16, 8), right),
        ],
        axis=1,
    )
    np.testing.assert_allclose(maps(image, stride=8)["mean"], expected, rtol=1e-5)
    assert (w > 0).all()


def test_chunks_change_nothing():
    image = draw(40, 40)
    for name, values in maps(image, chunk=7).items():
        np.testing.assert_allclose(values, maps(image, chunk=64)[name], rtol=1e-6)


@pytest.mark.parametrize("shape", [(16, 16), (61, 37), (90, 64)])
@pytest.mark.parametrize(("stride", "size"), [(5, 0), (16, 0), (16, 48)])
def test_a_map_is_the_weighted_mean_over_the_patches(shape, stride, size):
    """Sums and weights of the whole image, divided, then smoothed into a new array."""
    image = draw(*shape)
    tiling = MapTiling(16, stride, 8, size)
    patch, step, *_ = tiling.fit(*shape)
    sums, shares, weight = np.zeros(shape, np.float32), np.zeros(shape, np.float32), window(patch)
    for top in positions(shape[0], patch, step):
        for left in positions(shape[1], patch, step):
            place = slice(top, top + patch), slice(left, left + patch)
            sums[place] += image[place][..., 0].astype(np.float32) * weight
            shares[place] += weight
    for sigma in (0.0, 3.0):
        found = anomaly_maps(scorer, None, image, tiling, smoothing=sigma, names=("pixel",))
        np.testing.assert_allclose(found["pixel"], smooth(sums / shares, sigma), rtol=1e-6)


def lopsided(member, patches, absent=None):
    """Maps in which every pixel has a weight by its place in the patch."""
    scored = scorer(member, patches)
    weights = np.arange(256, dtype=np.float32).reshape(1, 16, 16)
    return scored._replace(maps={"pixel": scored.maps["pixel"] * weights})


@pytest.mark.parametrize("shape", [(40, 61), (16, 24)])
def test_alternate_mirrors_neighbours_differently(shape):
    """What a patch has at a pixel is what its mirror image has there, by hand."""
    image = draw(*shape)
    sums, shares, weight = np.zeros(shape), np.zeros(shape), window(16)
    for i, top in enumerate(positions(shape[0], 16, 8)):
        for j, left in enumerate(positions(shape[1], 16, 8)):
            place = slice(top, top + 16), slice(left, left + 16)
            axes = [axis for axis, number in ((0, i), (1, j)) if number % 2]
            weights = np.flip(np.arange(256.0).reshape(16, 16), axes)
            sums[place] += image[place][..., 0] * weights * weight
            shares[place] += weight
    tiling = MapTiling(16, 8, 5, alternate=True)
    values = anomaly_maps(lopsided, None, image, tiling)["pixel"]
    np.testing.assert_allclose(values, sums / shares, rtol=1e-5)


def test_alternate_changes_nothing_where_mirror_images_are_all_alike():
    """Pixels as a map: mirrored back, they are where they were."""
    image = draw(50, 33)
    tiling = MapTiling(16, 6, 7, alternate=True)
    for name, values in anomaly_maps(scorer, None, image, tiling).items():
        plain = anomaly_maps(scorer, None, image, tiling._replace(alternate=False))[name]
        np.testing.assert_array_equal(values, plain)


def test_calls_that_run_at_once_change_nothing():
    image = draw(50, 61)
    tiling = MapTiling(16, 5, 3, calls_at_once=2)
    together = threading.Barrier(2)
    numbers = itertools.count()

    def waiting(member, patches, absent=None):
        """Every call but a last without a partner waits for another."""
        assert jnp.asarray(np.ones(1)).dtype == np.float32
        if next(numbers) < calls - calls % 2:
            together.wait(timeout=30)
        return scorer(member, patches)

    calls = -(-len(positions(50, 16, 5)) * len(positions(61, 16, 5)) // 3)
    jax.config.update("jax_enable_x64", True)  # of all threads, as the environment would
    try:
        maps_at_once = anomaly_maps(waiting, None, image, tiling)
    finally:
        jax.config.update("jax_enable_x64", False)
    for name, values in maps_at_once.items():
        np.testing.assert_array_equal(values, maps(image, stride=5, chunk=3)[name])


def test_an_error_of_a_call_that_runs_beside_others_is_raised():
    numbers = itertools.count()

    def failing(member, patches, absent=None):
        if next(numbers) == 2:
            raise UserError("no more")
        return scorer(member, patches)

    with pytest.raises(UserError, match="no more"):
        anomaly_maps(failing, None, draw(50, 61), MapTiling(16, 5, 3, calls_at_once=2))


def test_a_map_takes_little_more_memory_than_itself():
    image = draw(1024, 1024)
    tiling = MapTiling(16, 16, 4, 128)
    anomaly_maps(scorer, None, image[:128], tiling)  # compiles
    tracemalloc.start()
    found = anomaly_maps(scorer, None, image, tiling, smoothing=2.0, names=("pixel",))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1.7 * found["pixel"].nbytes


def test_what_cannot_be_mapped():
    with pytest.raises(ValueError, match="smaller than a patch"):
        maps(draw(15, 40))
    with pytest.raises(ValueError, match="gaps"):
        maps(draw(40, 40), stride=17)


@pytest.mark.parametrize("shape", [(16, 16), (37, 23), (100, 150)])
def test_windows_of_a_convolutional_system_cover_every_pixel(shape):
    image = draw(*shape)
    np.testing.assert_allclose(maps(image, window=64)["pixel"], image[..., 0], rtol=1e-5, atol=1e-4)


def test_windows_fit_the_image():
    """Multiples of 16 as large as the image allows; as many pixels per call as patches had."""
    wanted = MapTiling(32, 16, 64, window=256)
    assert wanted.fit(700, 1024) == MapTiling(256, 192, 1)
    assert wanted.fit(139, 1024) == MapTiling(128, 96, 4)
    assert wanted.fit(40, 33) == MapTiling(32, 24, 64)
    assert wanted._replace(window=0).fit(700, 1024) == MapTiling(32, 16, 64)
    assert wanted._replace(alternate=True).fit(40, 33) == MapTiling(32, 24, 64, alternate=True)


def test_smoothing_keeps_a_constant_and_spreads_a_point():
    np.testing.assert_allclose(smooth(np.full((9, 9), 3.0), 2.0), 3.0)
    point = np.zeros((41, 41))
    point[20, 20] = 1
    spread = smooth(point, 3.0)
    assert spread.sum() == pytest.approx(1)
    rows = np.arange(41) - 20
    assert (spread.sum(axis=1) * rows**2).sum() == pytest.approx(9, rel=0.02)
    assert smooth(point, 0) is point
    assert smooth(point, 3.0, out=point) is point  # line by line, so in place
    np.testing.assert_array_equal(point, spread)


def test_pooling():
    values = RNG.random((20, 30), np.float32)
    corners = np.array([[0, 0], [4, 14]])
    pooled = pool(values, corners, 16)
    np.testing.assert_allclose(pooled["max"], [values[:16, :16].max(), values[4:, 14:].max()])
    np.testing.assert_allclose(pooled["mean"][1], values[4:, 14:].mean(), rtol=1e-6)


@pytest.mark.parametrize("name", tiny.NAMES)
def test_every_system_maps_images_of_any_size_by_one_program(name):
    run = tiny.prepare(name)
    weights = member(init_population(run.method, [0]), 0).ema
    own = ScoringState(weights, run.method.hparams, jax.random.key(0))
    compiled = make_scorer(run.method, maps=True)
    residuals = {"l1", "l2", "ssim"} if name in tiny.RECONSTRUCTING else set()
    for shape in ((16, 16), (33, 20)):
        found = anomaly_maps(compiled, own, draw(*shape), MapTiling(16, 16, 4))
        assert found.keys() >= {run.method.default_score} | residuals
        assert all(values.shape == shape for values in found.values())
        assert all(np.isfinite(values).all() for values in found.values())
    assert compiled._cache_size() == 1


def test_a_residual_map_has_the_residual_score_as_its_mean():
    run = tiny.prepare("autoencoder")
    weights = member(init_population(run.method, [0]), 0).ema
    compiled = make_scorer(run.method, maps=True)
    patches = np.stack([draw(16, 16) for _ in range(4)])
    found = compiled(ScoringState(weights, run.method.hparams, jax.random.key(0)), patches)
    for name in ("l1", "l2"):
        np.testing.assert_allclose(found.maps[name].mean((1, 2)), found.scores[name], rtol=1e-5)
    inside = found.maps["ssim"][:, 5:-5, 5:-5]
    np.testing.assert_allclose(inside.mean((1, 2)), found.scores["ssim"], rtol=1e-4)
