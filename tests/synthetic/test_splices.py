"""Splices: masks, fillings, and that nothing outside a mask changes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from semad.synthetic import splices

KEY = jax.random.key(3)
IMAGES = jax.random.uniform(jax.random.key(1), (16, 32, 32, 1), minval=-1, maxval=1)


def test_splicing_is_a_mixture_by_the_mask():
    masks = jnp.zeros((16, 32, 32)).at[:, :8].set(1).at[:, 8].set(0.25)
    seen = splices.splice(IMAGES, jnp.ones_like(IMAGES), masks)
    np.testing.assert_array_equal(seen[:, :8], 1)
    np.testing.assert_allclose(seen[:, 8], 0.75 * IMAGES[:, 8] + 0.25, rtol=1e-6)
    np.testing.assert_array_equal(seen[:, 9:], IMAGES[:, 9:])


def test_masks_cover_some_of_most_images():
    masks = np.asarray(splices.draw_masks(KEY, 512, 64))
    assert masks.shape == (512, 64, 64)
    assert (masks >= 0).all() and (masks <= 1).all()
    cover = masks.mean(axis=(1, 2))
    assert 0.65 < (cover > 0).mean() < 0.8  # a quarter is left clean, a few blots are too small
    assert 0.05 < cover[cover > 0].mean() < 0.4
    sharp = ((masks == 0) | (masks == 1)).mean()
    assert sharp > 0.8


@pytest.mark.parametrize("grain", [1, 4, 16])
def test_a_field_is_as_smooth_as_its_grain(grain):
    values = np.asarray(splices.fields(KEY, 8, 64, (grain,)))
    np.testing.assert_allclose(values.std(axis=(1, 2)), 1, rtol=1e-3)
    step = np.abs(np.diff(values, axis=2)).mean()
    assert step < 3 / grain
    assert step > 0.3 / grain


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", list(splices.SOURCES))
def test_fillings_stay_in_range_and_follow_from_the_key(name, channels):
    images, part = jnp.repeat(IMAGES, channels, axis=-1), slice(4, 12)
    filling = splices.SOURCES[name]
    first, again, other = (filling(key, images, part) for key in (KEY, KEY, jax.random.key(9)))
    assert first.shape == (8, 32, 32, channels)
    assert float(jnp.abs(first).max()) <= 1
    np.testing.assert_array_equal(first, again)
    assert float(jnp.abs(first - other).mean()) > 0.01


def test_a_pasted_part_is_never_the_image_itself():
    """Each image has a grey value of its own, which a shift of at most .15 cannot hide."""
    greys = jnp.linspace(-0.8, 0.8, 4).reshape(-1, 1, 1, 1)
    images = jnp.broadcast_to(greys, (4, 32, 32, 1))
    for part in (slice(0, 4), slice(2, 3)):  # also where a single image is filled
        pasted = splices.cutpaste(KEY, images, part)
        assert float(jnp.abs(pasted - greys[part]).min()) > 0.3


def test_noise_level_of_noise_on_a_slope():
    slope = jnp.linspace(-0.5, 0.5, 64)[None, :, None, None]
    noisy = slope + 0.1 * jax.random.normal(KEY, (4, 64, 64, 1))
    np.testing.assert_allclose(splices.noise_level(noisy), 0.1, rtol=0.05)


def test_an_outlined_defect_is_moved_with_its_mask():
    inside = np.zeros((64, 32, 32), np.float32)
    inside[:, 10:20, 14:18] = 1
    images, masks = splices.moved(KEY, jnp.asarray(inside)[..., None] * 0.5, jnp.asarray(inside))
    np.testing.assert_allclose(images[..., 0], masks * 0.5, atol=1e-6)
    areas = np.asarray(masks).sum(axis=(1, 2))
    assert 0.3 * 40 < areas.min() < 0.5 * 40  # a size of 0.6 is 0.36 of the area
    assert 2 * 40 < areas.max() < 2.6 * 40  # and 1.6 is 2.56
    rows, columns = (np.asarray(masks).max(axis=axis).sum(axis=1) for axis in (2, 1))
    assert 0.3 < (rows > columns).mean() < 0.7  # half of them are turned


def test_without_a_change_a_defect_stays_or_is_turned(monkeypatch):
    monkeypatch.setattr(splices, "_ENLARGED", (1.0, 1.0))
    monkeypatch.setattr(splices, "_SHIFT", 0.0)
    images, masks = splices.moved(KEY, IMAGES, IMAGES[..., 0])
    np.testing.assert_allclose(images[..., 0], masks, atol=1e-6)
    turned = [
        np.allclose(after, before[..., 0].T, atol=1e-5)
        for after, before in zip(masks, IMAGES, strict=True)
    ]
    same = [
        np.allclose(after, before[..., 0], atol=1e-5)
        for after, before in zip(masks, IMAGES, strict=True)
    ]
    assert all(a != b for a, b in zip(turned, same, strict=True))
    assert 4 <= sum(turned) <= 12
