"""Losses against values computed by hand from their equations."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from semad import losses
from semad.losses import ssim

X = np.array([[[1.0, 2.0], [3.0, 4.0]], [[0.0, 0.0], [0.0, 0.0]]])
Y = np.array([[[1.0, 0.0], [3.0, 7.0]], [[1.0, -1.0], [2.0, 0.0]]])


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (losses.mean_absolute, [5 / 4, 4 / 4]),
        (losses.mean_square, [13 / 4, 6 / 4]),
        (losses.sum_absolute, [5, 4]),
        (lambda x, y: losses.norm(x, y, 1), [5, 4]),
        (lambda x, y: losses.norm(x, y, 2), [np.sqrt(13), np.sqrt(6)]),
        (losses.norm, [np.sqrt(13), np.sqrt(6)]),
    ],
)
def test_distances(function, expected):
    np.testing.assert_allclose(function(X, Y), expected, rtol=1e-6)


def test_the_root_of_nothing_has_no_slope():
    squares = jnp.array([0.0, 0.25, 4.0])
    np.testing.assert_allclose(losses.safe_sqrt(squares), [0, 0.5, 2])
    slopes = jax.grad(lambda values: losses.safe_sqrt(values).sum())(squares)
    np.testing.assert_allclose(slopes, [0, 1, 0.25])
    same = jnp.ones((2, 3))
    np.testing.assert_array_equal(jax.grad(lambda x: losses.norm(x, same).sum())(same), 0)


@pytest.mark.parametrize("target", [0.0, 1.0, 0.9])
def test_cross_entropy_is_that_of_the_sigmoid(target):
    logits = np.array([-2.0, 0.0, 3.0])
    p = 1 / (1 + np.exp(-logits))
    expected = -(target * np.log(p) + (1 - target) * np.log(1 - p))
    np.testing.assert_allclose(losses.cross_entropy(jnp.array(logits), target), expected, rtol=1e-5)


def test_cross_entropy_with_a_target_for_each_logit():
    """Logits ± log 3 are probabilities 3/4 and 1/4."""
    logits = jnp.log(jnp.array([3.0, 1 / 3]))
    expected = [-np.log(3 / 4), -np.log(3 / 4)]
    np.testing.assert_allclose(losses.cross_entropy(logits, jnp.array([1.0, 0.0])), expected, 1e-5)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("l1", [[[2.0, 0.5]]]), ("l2", [[[5.0, 0.5]]])],
)
def test_the_map_of_a_residual_is_the_mean_over_channels(name, expected):
    x = jnp.array([[[[1.0, 3.0], [0.0, 1.0]]]])
    y = jnp.array([[[[0.0, 0.0], [0.0, 0.0]]]])
    np.testing.assert_allclose(losses.RESIDUALS[name].map(x, y), expected)


@pytest.mark.parametrize("name", losses.RESIDUALS)
def test_a_residual_is_the_mean_of_its_map(name):
    """Of SSIM's over the pixels whose whole window lies inside."""
    x, y = jax.random.uniform(jax.random.key(1), (2, 3, 16, 20, 2), minval=-1, maxval=1)
    residual = losses.RESIDUALS[name]
    values = residual.map(x, y)
    assert values.shape == (3, 16, 20)
    inside = values[:, ssim.RADIUS : -ssim.RADIUS, ssim.RADIUS : -ssim.RADIUS]
    means = (inside if name == "ssim" else values).mean(axis=(1, 2))
    np.testing.assert_allclose(residual.value(x, y), means, rtol=1e-5)


def test_latents_are_standard_normal():
    z = np.asarray(losses.sample_latent(jax.random.key(0), 500, 40))
    assert z.shape == (500, 40)
    assert abs(z.mean()) < 0.03
    assert abs(z.std() - 1) < 0.03
