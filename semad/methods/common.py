"""What the files of this folder share: from a config to styles, shapes, optimisers, hparams."""

from collections.abc import Callable, Iterable

import jax
import jax.numpy as jnp
import ml_collections
import optax

from semad import adversarial, losses
from semad.adversarial import Game, NoiseSchedule, Objective
from semad.nets.layers import Style
from semad.types import Batch, Hparams, Loss, Nets, Update

Lossed = tuple[jax.Array, dict[str, jax.Array]]
Distance = Callable[[jax.Array, jax.Array], jax.Array]


def style(config: ml_collections.ConfigDict) -> Style:
    """How the layers of all networks are built."""
    model = config.model
    return Style(model.width, model.leaky_slope, model.bn_momentum, model.bn_epsilon, model.init)


def image_shape(config: ml_collections.ConfigDict) -> tuple[int, int, int]:
    """Shape of one patch (P, P, C)."""
    return (config.data.patch_size, config.data.patch_size, config.data.channels)


def adam(config: ml_collections.ConfigDict) -> optax.GradientTransformation:
    """Adam without its learning rate, which is an hparam of each net."""
    return optax.scale_by_adam(b1=config.optim.beta1, b2=config.optim.beta2)


def learning_rates(config: ml_collections.ConfigDict) -> dict[str, float]:
    """`lr_<net>` for every net that the config names a rate for."""
    return {f"lr_{net}": rate for net, rate in config.lr.items()}


def game_hparams(config: ml_collections.ConfigDict) -> dict[str, float]:
    """The hparams of an adversarial system: learning rates, and the tricks, which are off."""
    return learning_rates(config) | adversarial.switches("none")


def for_nets(hparams: dict[str, float], nets: Iterable[str]) -> dict[str, float]:
    """Without the learning rates of nets that a switch has left out."""
    names = {f"lr_{net}" for net in nets}
    return {n: value for n, value in hparams.items() if n in names or not n.startswith("lr_")}


LATE_NOISE = NoiseSchedule(1.25, 1.0)
"""max(1.25·(10 − epoch)/10, 1) in a run of 50 epochs."""


def reconstruction_game(batch: Batch, key: jax.Array, hparams: Hparams) -> Game:
    """The game as the thesis has it in GANomaly and Skip-GANomaly: noise that stays, soft labels
    that are not flipped."""
    return Game(key, batch.progress, hparams, noise=LATE_NOISE, flipped=0.0)


REDUCTIONS = ("sum", "mean")


def reduced(reduction: str, reconstruction: str) -> tuple[Distance, Distance]:
    """The distances of images and of latents or features, (N, ...) twice -> (N,) each.

    Args:
      reduction: `sum`, over pixels, and a Euclidean norm of latents, as the thesis' code has them;
        `mean`, over pixels, and a mean square, as the papers'.
      reconstruction: key of `losses.RESIDUALS`.
    """
    distance = losses.RESIDUALS[reconstruction]
    if reduction == "mean":
        return distance, losses.mean_square
    return lambda x, y: x[0].size * distance(x, y), losses.norm


def residual(config: ml_collections.ConfigDict) -> Distance:
    """The distance that `config.loss.reconstruction` names, (N, ...) twice -> (N,)."""
    return losses.RESIDUALS[config.loss.reconstruction]


def generate(nets: Nets, z: jax.Array) -> jax.Array:
    """G(z)."""
    return nets.generator(z)


def rebuild(nets: Nets, images: jax.Array) -> jax.Array:
    """G(E(x))."""
    return nets.generator(nets.encoder(images))


def make_game(objective: Objective, penalised: bool = False) -> tuple[Loss, Loss]:
    """The losses of D and of G in the game of x against G(z), if asked with a gradient penalty."""

    def discriminator_loss(nets: Nets, batch: Batch, key: jax.Array, hparams: Hparams) -> Lossed:
        """x is real, G(z) is not."""
        game = Game(key, batch.progress, hparams)
        real = game.show(batch.images, "real")
        generated = game.show(nets.generator(batch.z), "generated")
        on_real, on_generated = nets.discriminator(real), nets.discriminator(generated)
        loss, terms = game.discriminate(objective, on_real.logits, on_generated.logits)
        if penalised:
            apart = nets.unrecorded()
            terms["penalty"] = game.penalty(
                lambda images: apart.discriminator(images).logits, real, generated
            )
            loss += hparams["w_penalty"] * terms["penalty"]
        return loss, terms

    def generator_loss(nets: Nets, batch: Batch, key: jax.Array, hparams: Hparams) -> Lossed:
        """G(z) should pass for real."""
        game = Game(key, batch.progress, hparams)
        generated = nets.generator(batch.z)
        judgement = nets.discriminator(game.show(generated, "generated"))
        spread = adversarial.spread(generated, batch.images)
        return game.persuade(objective, judgement.logits), {"spread": spread}

    return discriminator_loss, generator_loss


def unreal(logits: jax.Array, hparams: Hparams) -> jax.Array:
    """The score `discriminator`: how little real D finds an example, −D(x), (N,) -> (N,).

    With LF, D learnt high answers for what is generated.
    """
    return (2 * hparams["trick_LF"] - 1) * logits


def make_clip(limit: float) -> Callable[[dict], dict]:
    """Keeps kernels and biases in [-limit, limit] (Arjovsky et al. 2017).

    The scales of batch norm are left alone: they multiply layer by layer, and clipped with the
    rest they would leave a deep critic without an answer.
    """

    def clip(path: tuple, leaf: jax.Array) -> jax.Array:
        return leaf if path[-1].key == "scale" else jnp.clip(leaf, -limit, limit)

    return lambda params: jax.tree_util.tree_map_with_path(clip, params)


def gan_updates(
    config: ml_collections.ConfigDict, game: tuple[Loss, Loss]
) -> tuple[Update, Update]:
    """The discriminator's update and the generator's, each as often a step as the config says.

    `game` holds their losses; with the objective `wgan` the discriminator's weights are clipped.
    """
    loss = config.loss
    critic = Update(
        "discriminator",
        ("discriminator",),
        game[0],
        adam(config),
        repeat=loss.critic_updates,
        project=make_clip(loss.clip) if loss.objective == "wgan" else None,
    )
    generator = Update(
        "generator", ("generator",), game[1], adam(config), repeat=loss.generator_updates
    )
    return critic, generator
