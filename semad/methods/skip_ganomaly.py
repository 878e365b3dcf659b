"""Skip-GANomaly (thesis section 2.3.4; Akçay et al. 2019).

The generator is a U-Net that reconstructs x (table A5 of the thesis repeats AnoGAN's; the paper's
U-Net is taken, with the 5×5 kernels of the thesis' code), the discriminator tells x from x̂ and
gives features. The generator pays for being told apart, for its pixels and for its features
(equation 2.96). The thesis' code sums the pixels' term over columns and averages it over rows, so
its weight of 40 is 1.25 of the sum over a patch of 32 pixels: `loss.reduction = "sum"`. The paper
has 40 of the mean, its code 50: `loss.reduction = "mean"`.

Score: λ·R + (1 − λ)·L with R and L the mean squares of the differences in pixels and in features
(equation 2.97, λ = 0.9), per image; never rescaled over the test set. (The thesis' test code shares
one L among the forty patches of a batch.)

The training tricks as the thesis has them here: input noise is on the rebuilt image that D sees,
its σ never below 1; soft labels are not flipped.
"""

import jax

from semad import losses
from semad.config.schema import Settings
from semad.losses import adversarial
from semad.losses.adversarial import CROSS_ENTROPY
from semad.methods.common import (
    LossAndTerms,
    adam,
    gan_hparams,
    image_shape,
    layer_settings,
    logit_score,
    reconstruction_gan_loss,
    reduced,
    weighted_sum,
)
from semad.nets.autoencoders import UNet
from semad.nets.thesis import ConvStackSettings, Discriminator
from semad.types import Batch, Hparams, Loss, Method, MethodOutput, Net, Nets, Phase, Score, Update

_DROPOUT = 0.3  # of the discriminator's features


def discriminator_loss(nets: Nets, batch: Batch, key: jax.Array, hparams: Hparams) -> LossAndTerms:
    """x is real, x̂ is not."""
    gan = reconstruction_gan_loss(batch, key, hparams)
    rebuilt = gan.add_input_noise(nets.generator(batch.images), "rebuilt")
    on_real = nets.discriminator(batch.images, key=gan.dropout_key("real")).logits
    on_generated = nets.discriminator(rebuilt, key=gan.dropout_key("rebuilt")).logits
    return gan.discriminator_loss(CROSS_ENTROPY, on_real, on_generated)


def make_generator_loss(reduction: str = "sum", reconstruction: str = "l1") -> Loss:
    """Adversarial, contextual and latent term; see `semad.methods.common.reduced`."""
    contextual, latent = reduced(reduction, reconstruction)

    def loss(nets: Nets, batch: Batch, key: jax.Array, hparams: Hparams) -> LossAndTerms:
        gan = reconstruction_gan_loss(batch, key, hparams)
        rebuilt = nets.generator(batch.images)
        wanted = nets.discriminator(batch.images, key=gan.dropout_key("real")).features
        shown = gan.add_input_noise(rebuilt, "rebuilt")
        output = nets.discriminator(shown, key=gan.dropout_key("rebuilt"))
        terms = {
            "adversarial": gan.generator_loss(CROSS_ENTROPY, output.logits),
            "contextual": contextual(batch.images, rebuilt).mean(),
            "latent": latent(wanted, output.features).mean(),
        }
        return weighted_sum(hparams, terms), terms | {
            "spread": adversarial.spread(rebuilt, batch.images)
        }

    return loss


def make_score(weight: float) -> Score:
    """Equation 2.97, where `weight` is λ; its features; and −D(x)."""

    def score(nets: Nets, images: jax.Array, key: jax.Array, hparams: Hparams) -> MethodOutput:
        del key
        rebuilt = nets.generator(images)
        pixels = losses.mean_square(images, rebuilt)
        seen = nets.discriminator(images)
        features = losses.mean_square(seen.features, nets.discriminator(rebuilt).features)
        total = weight * pixels + (1 - weight) * features
        discriminator = logit_score(seen.logits, hparams)
        return MethodOutput(
            {"anomaly": total, "features": features, "discriminator": discriminator}, rebuilt
        )

    return score


def build(settings: Settings) -> Method:
    """The method for a config of `configs/skip_ganomaly.py`."""
    data, image = settings.data, image_shape(settings.data)
    generator_loss = make_generator_loss(settings.loss.reduction, settings.loss.reconstruction)
    discriminator = Discriminator(
        data.patch_size, layer_settings(settings.model), ConvStackSettings(size=5), dropout=_DROPOUT
    )
    updates = (
        Update("discriminator", ("discriminator",), discriminator_loss, adam(settings.optim)),
        Update("generator", ("generator",), generator_loss, adam(settings.optim)),
    )
    return Method(
        name="skip_ganomaly",
        nets={
            "generator": Net(
                UNet(data.patch_size, data.channels, layer_settings(settings.model)), (image,)
            ),
            "discriminator": Net(discriminator, (image,)),
        },
        latent_dim=settings.model.latent_dim,
        phases=(Phase("skip_ganomaly", settings.train.epochs, updates),),
        hparams=gan_hparams(settings.lr)
        | {
            "w_adversarial": settings.loss.adversarial,
            "w_contextual": settings.loss.contextual,
            "w_latent": settings.loss.latent,
        },
        score=make_score(settings.score.reconstruction_weight),
        default_score="anomaly",
        label_symmetric=True,
        encode=lambda nets, images, *_: nets.discriminator(images).features,
        reconstruct=lambda nets, images: nets.generator(images),
    )
