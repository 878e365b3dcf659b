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
import ml_collections

from semad import adversarial, losses
from semad.adversarial import CROSS_ENTROPY
from semad.methods.common import (
    Lossed,
    adam,
    game_hparams,
    image_shape,
    reconstruction_game,
    reduced,
    style,
    unreal,
)
from semad.nets.autoencoders import UNet
from semad.nets.thesis import Discriminator, Tower
from semad.types import Batch, Hparams, Loss, Method, Net, Nets, Phase, Score, Scored, Update

_DROPOUT = 0.3  # of the discriminator's features


def discriminator_loss(nets: Nets, batch: Batch, key: jax.Array, hparams: Hparams) -> Lossed:
    """x is real, x̂ is not."""
    game = reconstruction_game(batch, key, hparams)
    rebuilt = game.show(nets.generator(batch.images), "rebuilt")
    on_real = nets.discriminator(batch.images, key=game.dropout("real")).logits
    on_generated = nets.discriminator(rebuilt, key=game.dropout("rebuilt")).logits
    return game.discriminate(CROSS_ENTROPY, on_real, on_generated)


def make_generator_loss(reduction: str = "sum", reconstruction: str = "l1") -> Loss:
    """Adversarial, contextual and latent term; see `semad.methods.common.reduced`."""
    contextual, latent = reduced(reduction, reconstruction)

    def loss(nets: Nets, batch: Batch, key: jax.Array, hparams: Hparams) -> Lossed:
        game = reconstruction_game(batch, key, hparams)
        rebuilt = nets.generator(batch.images)
        wanted = nets.discriminator(batch.images, key=game.dropout("real")).features
        shown = game.show(rebuilt, "rebuilt")
        judgement = nets.discriminator(shown, key=game.dropout("rebuilt"))
        terms = {
            "adversarial": game.persuade(CROSS_ENTROPY, judgement.logits),
            "contextual": contextual(batch.images, rebuilt).mean(),
            "latent": latent(wanted, judgement.features).mean(),
        }
        total = sum(hparams[f"w_{name}"] * value for name, value in terms.items())
        return total, terms | {"spread": adversarial.spread(rebuilt, batch.images)}

    return loss


def make_score(weight: float) -> Score:
    """Equation 2.97, where `weight` is λ; its features; and −D(x)."""

    def score(nets: Nets, images: jax.Array, key: jax.Array, hparams: Hparams) -> Scored:
        del key
        rebuilt = nets.generator(images)
        pixels = losses.mean_square(images, rebuilt)
        seen = nets.discriminator(images)
        features = losses.mean_square(seen.features, nets.discriminator(rebuilt).features)
        total = weight * pixels + (1 - weight) * features
        answer = unreal(seen.logits, hparams)
        return Scored({"anomaly": total, "features": features, "discriminator": answer}, rebuilt)

    return score


def build(config: ml_collections.ConfigDict) -> Method:
    """The method for a config of `configs/skip_ganomaly.py`."""
    data, image = config.data, image_shape(config)
    generator_loss = make_generator_loss(config.loss.reduction, config.loss.reconstruction)
    discriminator = Discriminator(data.patch_size, style(config), Tower(size=5), dropout=_DROPOUT)
    updates = (
        Update("discriminator", ("discriminator",), discriminator_loss, adam(config)),
        Update("generator", ("generator",), generator_loss, adam(config)),
    )
    return Method(
        name="skip_ganomaly",
        nets={
            "generator": Net(UNet(data.patch_size, data.channels, style(config)), (image,)),
            "discriminator": Net(discriminator, (image,)),
        },
        latent_dim=config.model.latent_dim,
        phases=(Phase("skip_ganomaly", config.train.epochs, updates),),
        hparams=game_hparams(config)
        | {
            "w_adversarial": config.loss.adversarial,
            "w_contextual": config.loss.contextual,
            "w_latent": config.loss.latent,
        },
        score=make_score(config.score.reconstruction_weight),
        default_score="anomaly",
        label_symmetric=True,
        reconstruct=lambda nets, images: nets.generator(images),
    )
