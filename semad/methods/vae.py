"""Variational autoencoder (Kingma and Welling 2014): a probabilistic floor beside the autoencoder.

Not one of the thesis' systems. ALI's stochastic encoder, and the generator of table A1 as decoder.
The loss is the negative evidence lower bound of a Gaussian likelihood of variance σ², times 2σ²/P
for P pixels and up to a constant: the mean square of x − x̂, plus β/P times the divergence of
q(z|x) from N(0, I), with β = 2σ². The score `elbo` is the same at z = μ, without noise.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from semad import losses
from semad.config.schema import Settings
from semad.methods import ali
from semad.methods.common import LossAndTerms, adam, image_shape, layer_settings, learning_rates
from semad.nets.thesis import Gaussian, GaussianEncoder, Generator
from semad.types import Batch, Hparams, Loss, Method, MethodOutput, Net, Nets, Phase, Score, Update


def divergence(code: Gaussian) -> jax.Array:
    """KL(q(z|x) ‖ N(0, I)), (N,) (Kingma and Welling, appendix B)."""
    variance = jnp.exp(code.log_variance)
    return (jnp.square(code.mean) + variance - 1 - code.log_variance).sum(axis=1) / 2


def make_loss(distance: Callable[[jax.Array, jax.Array], jax.Array]) -> Loss:
    """The bound, with any distance of images for the mean square."""

    def loss(nets: Nets, batch: Batch, key: jax.Array, hparams: Hparams) -> LossAndTerms:
        code = nets.encoder(batch.images)
        rebuilt = nets.decoder(ali.draw(code, key))
        terms = {
            "reconstruction": distance(batch.images, rebuilt).mean(),
            "divergence": divergence(code).mean() / batch.images[0].size,
        }
        return terms["reconstruction"] + hparams["beta"] * terms["divergence"], terms

    return loss


def make_score(distance: Callable[[jax.Array, jax.Array], jax.Array]) -> Score:
    """The bound at z = μ, and its divergence."""

    def score(nets: Nets, images: jax.Array, key: jax.Array, hparams: Hparams) -> MethodOutput:
        del key
        code = nets.encoder(images)
        rebuilt = nets.decoder(code.mean)
        apart = divergence(code) / images[0].size
        scores = {"elbo": distance(images, rebuilt) + hparams["beta"] * apart, "divergence": apart}
        return MethodOutput(scores, rebuilt)

    return score


def build(settings: Settings) -> Method:
    """The method for a config of `configs/vae.py`."""
    data, latent_dim, layers = (
        settings.data,
        settings.model.latent_dim,
        layer_settings(settings.model),
    )
    image = image_shape(settings.data)
    encoder = GaussianEncoder(data.patch_size, latent_dim, layers)
    decoder = Generator(data.patch_size, data.channels, layers)
    update = Update(
        "vae",
        ("encoder", "decoder"),
        make_loss(losses.RESIDUALS[settings.loss.reconstruction].value),
        adam(settings.optim),
    )
    return Method(
        name="vae",
        nets={
            "encoder": Net(encoder, (image,)),
            "decoder": Net(decoder, ((latent_dim,),)),
        },
        latent_dim=latent_dim,
        phases=(Phase("vae", settings.train.epochs, (update,)),),
        hparams=learning_rates(settings.lr) | {"beta": settings.loss.beta},
        score=make_score(losses.RESIDUALS[settings.loss.reconstruction].value),
        default_score="elbo",
        sample=lambda nets, z: nets.decoder(z),
        encode=lambda nets, images, *_: nets.encoder(images).mean,
        reconstruct=lambda nets, images: nets.decoder(nets.encoder(images).mean),
    )
