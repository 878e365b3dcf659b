"""Autoencoder (thesis section 2.2.2): the floor that every adversarial system must beat.

Encoder of table A2, and the generator of table A1 as decoder, trained by equation 2.31, here as
a mean over pixels. Three forms (`config.model.form`):

    undercomplete   the code is smaller than the image
    regularised     the code is as large as the image, and pays for its mean absolute value
    denoising       the input is x + ε, the target x; at test time there is no noise
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from semad.methods.common import (
    Lossed,
    adam,
    image_shape,
    learning_rates,
    residual,
    style,
)
from semad.nets.thesis import Encoder, Generator
from semad.types import Batch, Hparams, Loss, Method, Net, Nets, Phase, Scored, Update

FORMS = ("undercomplete", "regularised", "denoising")


def make_loss(distance: Callable[[jax.Array, jax.Array], jax.Array]) -> Loss:
    """Equation 2.31 with any distance; `noise` (σ) and `sparsity` are 0 where a form has none."""

    def loss(nets: Nets, batch: Batch, key: jax.Array, hparams: Hparams) -> Lossed:
        noise = hparams["noise"] * jax.random.normal(key, batch.images.shape)
        code = nets.encoder(batch.images + noise)
        reconstruction = distance(batch.images, nets.decoder(code)).mean()
        sparsity = jnp.abs(code).mean()
        total = reconstruction + hparams["sparsity"] * sparsity
        return total, {"reconstruction": reconstruction, "sparsity": sparsity}

    return loss


def reconstruct(nets: Nets, images: jax.Array) -> jax.Array:
    """Through the code and back."""
    return nets.decoder(nets.encoder(images))


def score(nets: Nets, images: jax.Array, key: jax.Array, hparams: Hparams) -> Scored:
    """Reconstructions; the residual scores are all there is."""
    del key, hparams
    return Scored({}, reconstruct(nets, images))


def build(config: ml_collections.ConfigDict) -> Method:
    """The method for a config of `configs/autoencoder.py`."""
    data, form = config.data, config.model.form
    full = int(np.prod(image_shape(config)))
    latent_dim = full if form == "regularised" else config.model.latent_dim
    encoder = Encoder(data.patch_size, latent_dim, style(config))
    decoder = Generator(data.patch_size, data.channels, style(config))
    loss = make_loss(residual(config))
    update = Update("autoencoder", ("encoder", "decoder"), loss, adam(config))
    return Method(
        name="autoencoder",
        nets={
            "encoder": Net(encoder, (image_shape(config),)),
            "decoder": Net(decoder, ((latent_dim,),)),
        },
        latent_dim=latent_dim,
        phases=(Phase("autoencoder", config.train.epochs, (update,)),),
        hparams=learning_rates(config)
        | {
            "noise": config.loss.noise if form == "denoising" else 0.0,
            "sparsity": config.loss.sparsity if form == "regularised" else 0.0,
        },
        score=score,
        default_score=config.loss.reconstruction,
        reconstruct=reconstruct,
    )
