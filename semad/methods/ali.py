"""ALI (thesis section 2.3.2; Dumoulin et al. 2017): BiGAN with a stochastic encoder.

E gives μ and log σ² of z, and D sees (x, μ + σ·ε) as real, so that noise reaches E's gradient by
reparametrisation. An image is scored at μ: no noise, no dependence on a seed.
"""

import jax
import jax.numpy as jnp

from semad.config.schema import Settings
from semad.methods.bigan import CONV_STACK, assemble
from semad.methods.common import image_shape, layer_settings
from semad.nets.thesis import Gaussian, GaussianEncoder
from semad.types import Method, Net, Nets


def encode(nets: Nets, images: jax.Array, key: jax.Array | None) -> jax.Array:
    """μ + σ·ε, or μ without a key."""
    code = nets.encoder(images)
    return code.mean if key is None else draw(code, key)


def draw(code: Gaussian, key: jax.Array) -> jax.Array:
    """A sample of z, (N, latent), through which gradients reach μ and σ."""
    return code.mean + jnp.exp(code.log_variance / 2) * jax.random.normal(key, code.mean.shape)


def build(settings: Settings) -> Method:
    """The method for a config of `configs/ali.py`."""
    data, latent_dim = settings.data, settings.model.latent_dim
    encoder = GaussianEncoder(
        data.patch_size, latent_dim, layer_settings(settings.model), CONV_STACK
    )
    return assemble(settings, Net(encoder, (image_shape(settings.data),)), encode)
