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
import numpy as np

from semad import losses
from semad.config.schema import Settings
from semad.methods.common import (
    LossAndTerms,
    adam,
    encode,
    image_shape,
    layer_settings,
    learning_rates,
)
from semad.nets.thesis import Encoder, Generator
from semad.types import Batch, Hparams, Loss, Method, MethodOutput, Net, Nets, Phase, Update

FORMS = ("undercomplete", "regularised", "denoising")


def make_loss(distance: Callable[[jax.Array, jax.Array], jax.Array]) -> Loss:
    """Equation 2.31 with any distance; `noise` (σ) and `sparsity` are 0 where a form has none."""

    def loss(nets: Nets, batch: Batch, key: jax.Array, hparams: Hparams) -> LossAndTerms:
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


def score(nets: Nets, images: jax.Array, key: jax.Array, hparams: Hparams) -> MethodOutput:
    """Reconstructions; the residual scores are all there is."""
    del key, hparams
    return MethodOutput({}, reconstruct(nets, images))


def build(settings: Settings) -> Method:
    """The method for a config of `configs/autoencoder.py`."""
    data, form = settings.data, settings.model.form
    full = int(np.prod(image_shape(settings.data)))
    latent_dim = full if form == "regularised" else settings.model.latent_dim
    encoder = Encoder(data.patch_size, latent_dim, layer_settings(settings.model))
    decoder = Generator(data.patch_size, data.channels, layer_settings(settings.model))
    loss = make_loss(losses.RESIDUALS[settings.loss.reconstruction].value)
    update = Update("autoencoder", ("encoder", "decoder"), loss, adam(settings.optim))
    return Method(
        name="autoencoder",
        nets={
            "encoder": Net(encoder, (image_shape(settings.data),)),
            "decoder": Net(decoder, ((latent_dim,),)),
        },
        latent_dim=latent_dim,
        phases=(Phase("autoencoder", settings.train.epochs, (update,)),),
        hparams=learning_rates(settings.lr)
        | {
            "noise": settings.loss.noise if form == "denoising" else 0.0,
            "sparsity": settings.loss.sparsity if form == "regularised" else 0.0,
        },
        score=score,
        default_score=settings.loss.reconstruction,
        encode=encode,
        reconstruct=reconstruct,
    )
