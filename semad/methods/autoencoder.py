"""Autoencoder (thesis section 2.2.2): the floor that every adversarial system must beat.

Encoder of table A2, and the generator of table A1 as decoder, trained by equation 2.31, here as
a mean over pixels. Undercomplete: the code is smaller than the image.
"""

import jax
import ml_collections

from semad import losses
from semad.methods.common import Lossed, Scored, adam, image_shape, learning_rates, style
from semad.nets.thesis import Encoder, Generator
from semad.types import Batch, Hparams, Method, Net, Nets, Phase, Update


def loss(nets: Nets, batch: Batch, key: jax.Array, hparams: Hparams) -> Lossed:
    """Equation 2.31."""
    del key, hparams
    reconstructions = nets.decoder(nets.encoder(batch.images))
    return losses.mean_square(batch.images, reconstructions).mean(), {}


def score(nets: Nets, images: jax.Array, key: jax.Array) -> Scored:
    """Reconstructions; the residual scores are all there is."""
    del key
    return {}, nets.decoder(nets.encoder(images))


def preview(nets: Nets, batch: Batch) -> dict[str, jax.Array]:
    """Reconstructions."""
    return {"reconstructions": nets.decoder(nets.encoder(batch.images))}


def build(config: ml_collections.ConfigDict) -> Method:
    """The method for a config of `configs/autoencoder.py`."""
    data, latent_dim = config.data, config.model.latent_dim
    encoder = Encoder(data.patch_size, latent_dim, style(config))
    decoder = Generator(data.patch_size, data.channels, style(config))
    update = Update("autoencoder", ("encoder", "decoder"), loss, adam(config))
    return Method(
        name="autoencoder",
        nets={
            "encoder": Net(encoder, (image_shape(config),)),
            "decoder": Net(decoder, ((latent_dim,),)),
        },
        latent_dim=latent_dim,
        phases=(Phase("autoencoder", config.train.epochs, (update,)),),
        hparams=learning_rates(config),
        score=score,
        default_score="l2",
        preview=preview,
    )
