"""Image pyramids by hand, by SciPy and by scikit-image."""

import numpy as np
import pytest
from scipy import ndimage
from skimage.measure import block_reduce

from semad.utils.pyramid import add_enlarged, halve, pyramid


def test_a_level_is_the_mean_of_blocks():
    image = np.array([[0, 2, 8], [4, 5, 9], [1, 3, 200]], np.uint8)[..., None]
    # Blocks 0 2 4 5 (11/4), 8 8 9 9 at the right edge (17/2), 1 3 1 3, and 200 alone.
    assert halve(image)[..., 0].tolist() == [[3, 8], [2, 200]]
    assert halve(image.astype(np.uint16) * 256)[..., 0].tolist() == [[704, 2176], [512, 51200]]


def test_levels_of_a_pyramid():
    image = np.arange(12 * 10, dtype=np.uint8).reshape(12, 10, 1)
    first, second, third = pyramid(image, 3, 4)
    assert first is image
    np.testing.assert_array_equal(second, halve(image))
    assert third.shape == (4, 4, 1)  # 3×3, and what is lacking is mirrored
    np.testing.assert_array_equal(third[:3, :3], halve(halve(image)))
    np.testing.assert_array_equal(third[3], third[2])
    assert [level.shape for level in pyramid(image, 1, 4)] == [(12, 10, 1)]


@pytest.mark.parametrize("shape", [(8, 8), (9, 14), (5, 7)])
@pytest.mark.parametrize("level", [1, 2])
def test_a_level_has_the_size_of_the_image_again(shape, level):
    """A ramp stays one, but for the half blocks at its ends; the mirrored rest is left out."""
    ramp = np.add.outer(np.arange(shape[0]), np.arange(shape[1])).astype(np.float32)
    image = (ramp * 4).astype(np.uint8)[..., None]
    *_, last = pyramid(image, level + 1, 16)
    values = np.zeros(shape, np.float32)
    add_enlarged(values, last[..., 0].astype(np.float32) / 4, level)
    assert np.abs(values - ramp).max() <= 2**level
    inside = slice(2**level - 1, 5 - 2**level)
    if level < 2:
        np.testing.assert_allclose(values[inside, inside], ramp[inside, inside], atol=0.3)


@pytest.mark.parametrize("level", [1, 2])
@pytest.mark.parametrize("height", [9, 700])
def test_a_map_is_enlarged_as_by_scipy(level, height):
    """In bands too, which have no seams."""
    values = np.random.default_rng(0).normal(size=(height, 5)).astype(np.float32)
    expected = ndimage.zoom(values, 2**level, order=1, mode="nearest", grid_mode=True)
    total = np.ones((height * 2**level - 1, 5 * 2**level), np.float32)
    add_enlarged(total, values, level)
    np.testing.assert_allclose(total, 1 + expected[:-1], atol=1e-6)


def test_a_large_image_of_three_channels_is_halved_as_by_scikit_image():
    image = np.random.default_rng(0).integers(0, 65_536, (1_501, 6, 3), np.uint16)
    even = np.pad(image, ((0, 1), (0, 0), (0, 0)), mode="edge")
    means = block_reduce(even, (2, 2, 1), np.mean)
    np.testing.assert_array_equal(halve(image), np.rint(means).astype(np.uint16))
