"""f-AnoGAN (thesis section 3.1; Schlegl et al. 2019): a GAN, then an encoder for its generator.

Phase `gan`: by default a critic with a gradient penalty (`wgan_gp`: λ = 10, five critic updates a
step, no batch norm in the critic), or `wgan` (weights clipped), or `gan` (cross-entropy). Phase
`encoder`: E alone, with G and D frozen, as they are used at test time:

    izi     mean square of x − G(E(x))                                    (equation 3.1)
    izi_f   the same, plus κ times that of the features f(x) − f(G(E(x)))  (equation 3.2)
    ziz     mean square of z − E(G(z))                                    (equation 3.3)

Score: equation 3.4, with κ = 0 for izi and ziz. Networks of tables A1 and A2.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from semad import losses
from semad.config.schema import Settings
from semad.losses.adversarial import CROSS_ENTROPY, WASSERSTEIN
from semad.methods.common import (
    LossAndTerms,
    adam,
    encode,
    gan_hparams,
    gan_updates,
    generate,
    image_shape,
    layer_settings,
    logit_score,
    make_gan_losses,
    rebuild,
)
from semad.nets.thesis import Discriminator, Encoder, Generator
from semad.types import Batch, Hparams, Loss, Method, MethodOutput, Net, Nets, Phase, Update

OBJECTIVES = {"gan": CROSS_ENTROPY, "wgan": WASSERSTEIN, "wgan_gp": WASSERSTEIN}
ENCODER_OBJECTIVES = ("izi", "izi_f", "ziz")


def make_encoder_loss(name: str, distance: Callable[[jax.Array, jax.Array], jax.Array]) -> Loss:
    """Equation 3.1, 3.2 or 3.3; `distance` is that of images."""

    def loss(nets: Nets, batch: Batch, key: jax.Array, hparams: Hparams) -> LossAndTerms:
        del key
        if name == "ziz":
            latent = nets.encoder(nets.generator(batch.z))
            return losses.mean_square(batch.z, latent).mean(), {}
        rebuilt = nets.generator(nets.encoder(batch.images))
        terms = {"reconstruction": distance(batch.images, rebuilt).mean()}
        if name == "izi":
            return terms["reconstruction"], terms
        terms["features"] = _feature_distance(nets, batch.images, rebuilt).mean()
        return terms["reconstruction"] + hparams["kappa"] * terms["features"], terms

    return loss


def _feature_distance(nets: Nets, images: jax.Array, rebuilt: jax.Array) -> jax.Array:
    """Equation 3.6: mean square of f(x) − f(x̂), (N,)."""
    features = nets.discriminator(images).features, nets.discriminator(rebuilt).features
    return losses.mean_square(*features)


def score(nets: Nets, images: jax.Array, key: jax.Array, hparams: Hparams) -> MethodOutput:
    """Equation 3.4, its two parts, the latent distance ‖E(x) − E(G(E(x)))‖², and −D(x)."""
    del key
    latent = nets.encoder(images)
    rebuilt = nets.generator(latent)
    residual = losses.mean_square(images, rebuilt)
    features = _feature_distance(nets, images, rebuilt)
    scores = {
        "anomaly": residual + hparams["kappa"] * features,
        "features": features,
        "latent": jnp.square(losses.norm(latent, nets.encoder(rebuilt))),
        "discriminator": logit_score(nets.discriminator(images).logits, hparams),
    }
    return MethodOutput(scores, rebuilt)


def build(settings: Settings) -> Method:
    """The method for a config of `configs/fanogan.py`."""
    data, loss, layers = settings.data, settings.loss, layer_settings(settings.model)
    image, latent = image_shape(settings.data), (settings.model.latent_dim,)
    gan = make_gan_losses(OBJECTIVES[loss.objective], loss.objective == "wgan_gp")
    kappa = loss.kappa if loss.encoder_objective == "izi_f" else 0.0
    encoder_loss = make_encoder_loss(
        loss.encoder_objective, losses.RESIDUALS[settings.loss.reconstruction].value
    )
    critic = layers._replace(batch_norm=loss.objective != "wgan_gp")
    return Method(
        name="fanogan",
        nets={
            "generator": Net(Generator(data.patch_size, data.channels, layers), (latent,)),
            "discriminator": Net(Discriminator(data.patch_size, critic), (image,)),
            "encoder": Net(Encoder(data.patch_size, settings.model.latent_dim, layers), (image,)),
        },
        latent_dim=settings.model.latent_dim,
        phases=(
            Phase("gan", settings.train.epochs, gan_updates(loss, settings.optim, gan)),
            Phase(
                "encoder",
                settings.train.encoder_epochs,
                (Update("encoder", ("encoder",), encoder_loss, adam(settings.optim)),),
                "train.encoder_epochs",
            ),
        ),
        hparams=gan_hparams(settings.lr) | {"w_penalty": loss.penalty, "kappa": kappa},
        score=score,
        default_score="anomaly",
        label_symmetric=loss.objective == "gan",
        sample=generate,
        encode=encode,
        reconstruct=rebuild,
    )
