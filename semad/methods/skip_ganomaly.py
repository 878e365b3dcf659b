"""Skip-GANomaly (thesis section 2.3.4; Akçay et al. 2019).

The generator is a U-Net that reconstructs x (table A5 of the thesis repeats AnoGAN's; the paper's
U-Net is taken), the discriminator tells x from x̂ and gives features. The generator pays for being
told apart, for its pixels (40 in the paper, 50 in its code) and for its features (equation 2.96).
Score: λ·R + (1 − λ)·L with R and L the mean squares of the differences in pixels and in features
(equation 2.97, λ = 0.9); never rescaled over the test set.
"""

from collections.abc import Callable

import jax
import ml_collections

from semad import adversarial, losses
from semad.adversarial import CROSS_ENTROPY, Game
from semad.methods.common import (
    Lossed,
    adam,
    game_hparams,
    image_shape,
    residual,
    style,
    tell_apart,
    unreal,
)
from semad.nets.autoencoders import UNet
from semad.nets.thesis import Discriminator
from semad.types import Batch, Hparams, Loss, Method, Net, Nets, Phase, Score, Scored, Update


def discriminator_loss(nets: Nets, batch: Batch, key: jax.Array, hparams: Hparams) -> Lossed:
    """x is real, x̂ is not."""
    game = Game(key, batch.epoch, hparams)
    return tell_apart(nets, batch.images, nets.generator(batch.images), game)


def make_generator_loss(distance: Callable[[jax.Array, jax.Array], jax.Array]) -> Loss:
    """Adversarial, contextual and latent term; `distance` is that of the contextual one."""

    def loss(nets: Nets, batch: Batch, key: jax.Array, hparams: Hparams) -> Lossed:
        game = Game(key, batch.epoch, hparams)
        rebuilt = nets.generator(batch.images)
        wanted = nets.discriminator(game.show(batch.images, 0)).features
        judgement = nets.discriminator(game.show(rebuilt, 1))
        terms = {
            "adversarial": game.persuade(CROSS_ENTROPY, judgement.logits),
            "contextual": distance(batch.images, rebuilt).mean(),
            "latent": losses.mean_square(wanted, judgement.features).mean(),
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
    updates = (
        Update("discriminator", ("discriminator",), discriminator_loss, adam(config)),
        Update("generator", ("generator",), make_generator_loss(residual(config)), adam(config)),
    )
    return Method(
        name="skip_ganomaly",
        nets={
            "generator": Net(UNet(data.patch_size, data.channels, style(config)), (image,)),
            "discriminator": Net(Discriminator(data.patch_size, style(config)), (image,)),
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
        reconstruct=lambda nets, images: nets.generator(images),
    )
