"""Structural similarity against scikit-image, and its gradient."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from skimage.metrics import structural_similarity

from semad.losses import ssim

OPTIONS = {"gaussian_weights": True, "use_sample_covariance": False, "data_range": 2.0}


def pair(size, channels=1, seed=0):
    """Images that are alike to different degrees, one of them nearly flat."""
    random = np.random.default_rng(seed)
    x = random.uniform(-1, 1, (4, size, size, channels)).astype(np.float32)
    noise = random.normal(0, 1, x.shape).astype(np.float32)
    y = np.clip(x + np.array([0.0, 0.05, 0.4, 2.0], "f4").reshape(4, 1, 1, 1) * noise, -1, 1)
    x[1] = 0.9 + 1e-3 * x[1]
    return x, y


@pytest.mark.parametrize("size", [16, 32, 48])
@pytest.mark.parametrize("channels", [1, 3])
def test_equals_scikit_image(size, channels):
    x, y = pair(size, channels)
    expected = [
        structural_similarity(a, b, channel_axis=-1, full=True, **OPTIONS)
        for a, b in zip(x.astype("f8"), y.astype("f8"), strict=True)
    ]
    means, maps = zip(*expected, strict=True)
    np.testing.assert_allclose(ssim.mean_similarity(x, y), means, atol=1e-5)
    mean_map = np.stack(maps).mean(axis=-1)
    np.testing.assert_allclose(ssim.similarity_map(x, y), mean_map, atol=1e-4)


def test_equal_images_differ_by_nothing():
    x, _ = pair(32)
    np.testing.assert_allclose(ssim.mean_dissimilarity(x, x), 0, atol=1e-5)


def test_the_gradient_is_that_of_the_function():
    x, y = (jnp.asarray(image[2:3]) for image in pair(16))
    direction = jax.random.normal(jax.random.key(0), y.shape)
    direction /= jnp.linalg.norm(direction)

    def along(t):
        return ssim.mean_dissimilarity(x, y + t * direction)[0]

    step = 1e-2
    numeric = (along(step) - along(-step)) / (2 * step)
    np.testing.assert_allclose(jax.grad(along)(0.0), numeric, rtol=1e-2)


def test_flat_images_by_hand():
    """Without variance what is left is (2ab + C1) / (a² + b² + C1), with C1 = 0.02²."""
    x, y = jnp.full((1, 11, 11, 1), 0.5), jnp.full((1, 11, 11, 1), -0.25)
    expected = (-0.25 + 4e-4) / (0.3125 + 4e-4)
    np.testing.assert_allclose(ssim.mean_similarity(x, y), [expected], rtol=1e-4)
    np.testing.assert_allclose(ssim.mean_dissimilarity(x, y), [1 - expected], rtol=1e-4)
    assert ssim.similarity_map(x, y).shape == (1, 11, 11)


def test_the_smallest_image_has_one_whole_window():
    x, y = pair(11)
    middle = ssim.similarity_map(x, y)[:, 5, 5]
    np.testing.assert_allclose(ssim.mean_similarity(x, y), middle, rtol=1e-6)


@pytest.mark.parametrize("shape", [(8, 8), (10, 11), (11, 10)])
def test_a_patch_smaller_than_the_window(shape):
    images = jnp.zeros((1, *shape, 1))
    message = f"^images of {shape[0]}×{shape[1]} are smaller than the SSIM window$"
    with pytest.raises(ValueError, match=message):
        ssim.mean_similarity(images, images)
