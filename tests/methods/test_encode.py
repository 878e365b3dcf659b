"""Latents of images, for every system that has them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from semad.methods import ali
from semad.run.state import init_state
from semad.run.system import build
from tests import tiny
from tests.methods import known
from tests.methods.known import KEY, OFF, X


@pytest.mark.parametrize("name", tiny.NAMES)
def test_an_image_has_a_latent(name):
    method = build(tiny.config(name)).method
    if name not in tiny.ENCODING:
        assert method.encode is None
        return
    scalars = {key: jnp.float32(value) for key, value in method.hparams.items()}

    def encode(images):
        return method.encode(method.bind(init_state(method, 0).ema), images, KEY, scalars)

    latents = jax.eval_shape(encode, jax.ShapeDtypeStruct((3, 16, 16, 1), jnp.float32))
    assert latents.dtype == jnp.float32
    if name == "skip_ganomaly":  # no code, but what its discriminator sees
        assert latents.shape[0] == 3 and latents.ndim == 2
    else:
        assert latents.shape == (3, method.latent_dim)


@pytest.mark.parametrize("name", ["ali", "vae"])
def test_a_stochastic_encoder_s_latent_is_its_mean(name):
    method = build(tiny.config(name)).method
    found = method.encode(known.nets(encoder=known.gaussian), X, KEY, OFF)
    np.testing.assert_allclose(found, known.encode(X), rtol=1e-6)
    drawn = ali.draw(known.gaussian(X), KEY)
    assert np.abs(np.asarray(drawn) - np.asarray(found)).max() > 0.1
