"""The variational autoencoder: its divergence, loss and score, in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from semad import losses
from semad.methods import vae
from semad.nets.thesis import Gaussian
from tests.methods.known import BATCH, KEY, X, encode, gaussian, generate, nets

KNOWN = nets(encoder=gaussian, decoder=generate)
# Of N(μ, 1/4) from N(0, 1), per dimension: (μ² + 1/4 − 1 + log 4) / 2.
APART = (np.asarray(encode(X)) ** 2 + 0.25 - 1 + np.log(4)).sum(axis=1) / 2


def test_divergence():
    np.testing.assert_allclose(vae.divergence(gaussian(X)), APART, rtol=1e-5)
    same = Gaussian(jnp.zeros((2, 3)), jnp.zeros((2, 3)))
    np.testing.assert_array_equal(vae.divergence(same), 0)


def test_loss():
    noise = np.asarray(jax.random.normal(KEY, (3, 2)))
    rebuilt = np.asarray(generate(jnp.asarray(np.asarray(encode(X)) + 0.5 * noise)))
    expected = ((X - rebuilt) ** 2).mean() + 0.3 * APART.mean() / 16
    loss, _ = vae.make_loss(losses.mean_square)(KNOWN, BATCH, KEY, {"beta": jnp.float32(0.3)})
    assert loss == pytest.approx(float(expected), rel=1e-5)


def test_score_is_the_loss_without_noise():
    rebuilt = np.asarray(generate(encode(X)))
    residual = ((X - rebuilt) ** 2).mean(axis=(1, 2, 3))
    score = vae.make_score(losses.mean_square)
    scores, reconstruction, _ = score(KNOWN, X, KEY, {"beta": jnp.float32(0.3)})
    np.testing.assert_allclose(scores["elbo"], residual + 0.3 * APART / 16, rtol=1e-5)
    np.testing.assert_allclose(scores["divergence"], APART / 16, rtol=1e-5)
    np.testing.assert_allclose(reconstruction, rebuilt, rtol=1e-6)
