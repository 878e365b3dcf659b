"""Variational autoencoder (Kingma and Welling 2014): a probabilistic floor beside the autoencoder.

Not one of the thesis' systems. ALI's stochastic encoder, and the generator of table A1 as decoder.
The loss is the negative evidence lower bound of a Gaussian likelihood of variance σ², times 2σ²/P
for P pixels and up to a constant: the mean square of x − x̂, plus β/P times the divergence of
q(z|x) from N(0, I), with β = 2σ². The score `elbo` is the same at z = μ, without noise.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import ml_collections

from semad.methods import ali
from semad.methods.common import Lossed, adam, image_shape, learning_rates, residual, style
from semad.nets.thesis import Gaussian, GaussianEncoder, Generator
from semad.types import Batch, Hparams, Loss, Method, Net, Nets, Phase, Score, Scored, Update


def divergence(code: Gaussian) -> jax.Array:
    """KL(q(z|x) ‖ N(0, I)), (N,) (Kingma and Welling, appendix B)."""
    variance = jnp.exp(code.log_variance)
    return (jnp.square(code.mean) + variance - 1 - code.log_variance).sum(axis=1) / 2


def make_loss(distance: Callable[[jax.Array, jax.Array], jax.Array]) -> Loss:
    """The bound, with any distance of images for the mean square."""

    def loss(nets: Nets, batch: Batch, key: jax.Array, hparams: Hparams) -> Lossed:
        code = nets.encoder(batch.images)
        rebuilt = nets.decoder(ali.draw(code, key))
        terms = {
            "reconstruction": distance(batch.images, rebuilt).mean(),
            "divergence": divergence(code).mean() / batch.images[0].size,
        }
        return terms["reconstruction"] + hparams["beta"] * terms["divergence"], terms

    return loss


def make_score(beta: float, distance: Callable[[jax.Array, jax.Array], jax.Array]) -> Score:
    """The bound at z = μ, and its divergence."""

    def score(nets: Nets, images: jax.Array, key: jax.Array, hparams: Hparams) -> Scored:
        del key, hparams
        code = nets.encoder(images)
        rebuilt = nets.decoder(code.mean)
        apart = divergence(code) / images[0].size
        scores = {"elbo": distance(images, rebuilt) + beta * apart, "divergence": apart}
        return Scored(scores, rebuilt)

    return score


def build(config: ml_collections.ConfigDict) -> Method:
    """The method for a config of `configs/vae.py`."""
    data, latent_dim, look = config.data, config.model.latent_dim, style(config)
    image = image_shape(config)
    encoder = GaussianEncoder(data.patch_size, latent_dim, look)
    decoder = Generator(data.patch_size, data.channels, look)
    update = Update("vae", ("encoder", "decoder"), make_loss(residual(config)), adam(config))
    return Method(
        name="vae",
        nets={
            "encoder": Net(encoder, (image,)),
            "decoder": Net(decoder, ((latent_dim,),)),
        },
        latent_dim=latent_dim,
        phases=(Phase("vae", config.train.epochs, (update,)),),
        hparams=learning_rates(config) | {"beta": config.loss.beta},
        score=make_score(config.loss.beta, residual(config)),
        default_score="elbo",
        sample=lambda nets, z: nets.decoder(z),
        reconstruct=lambda nets, images: nets.decoder(nets.encoder(images).mean),
    )
