"""Image pyramids by hand, and by SciPy."""

import numpy as np
import pytest
from scipy import ndimage

from semad.utils.pyramid import enlarge, halve, pyramid


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
@pytest.mark.parametrize("level", [0, 1, 2])
def test_a_level_has_the_size_of_the_image_again(shape, level):
    """A ramp stays one, but for the half blocks at its ends; the mirrored rest is left out."""
    ramp = np.add.outer(np.arange(shape[0]), np.arange(shape[1])).astype(np.float32)
    image = (ramp * 4).astype(np.uint8)[..., None]
    *_, last = pyramid(image, level + 1, 16)
    values = enlarge(last[..., 0].astype(np.float32) / 4, level, shape)
    assert (values.shape, values.dtype) == (shape, np.float32)
    assert np.abs(values - ramp).max() <= 2**level
    inside = slice(2**level - 1, 5 - 2**level)
    if level < 2:
        np.testing.assert_allclose(values[inside, inside], ramp[inside, inside], atol=0.3)


@pytest.mark.parametrize("level", [1, 2])
def test_a_map_is_enlarged_as_by_scipy(level):
    values = np.random.default_rng(0).normal(size=(9, 5)).astype(np.float32)
    expected = ndimage.zoom(values, 2**level, order=1, mode="nearest", grid_mode=True)
    shape = (9 * 2**level - 1, 5 * 2**level)
    np.testing.assert_allclose(enlarge(values, level, shape), expected[:-1], atol=1e-6)
