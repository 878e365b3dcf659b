"""What the files of this folder share: layers, shapes, optimisers, hparams, plain GAN losses."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial, reduce
from operator import add

import jax
import jax.numpy as jnp
import optax

from semad import losses
from semad.config.schema import DataSettings, LossSettings, ModelSettings, OptimSettings
from semad.losses import adversarial
from semad.losses.adversarial import GanLoss, NoiseSchedule, Objective
from semad.nets.layers import LayerSettings
from semad.types import Batch, Hparams, Loss, Nets, Update

LossAndTerms = tuple[jax.Array, dict[str, jax.Array]]
Distance = Callable[[jax.Array, jax.Array], jax.Array]


def layer_settings(model: ModelSettings) -> LayerSettings:
    """How the layers of all networks are built."""
    return LayerSettings(
        model.width, model.leaky_slope, model.bn_momentum, model.bn_epsilon, model.init
    )


def image_shape(data: DataSettings) -> tuple[int, int, int]:
    """Shape of one patch (P, P, C)."""
    return (data.patch_size, data.patch_size, data.channels)


def adam(optim: OptimSettings) -> optax.GradientTransformation:
    """Adam without its learning rate, which is an hparam of each net."""
    return optax.scale_by_adam(b1=optim.beta1, b2=optim.beta2)


def learning_rates(rates: Mapping[str, float]) -> dict[str, float]:
    """`lr_<net>` for every net of `config.lr`."""
    return {f"lr_{net}": rate for net, rate in rates.items()}


def gan_hparams(rates: Mapping[str, float]) -> dict[str, float]:
    """The hparams of an adversarial system: learning rates, and the tricks, which are off."""
    return learning_rates(rates) | adversarial.trick_hparams("none")


def for_nets(hparams: dict[str, float], nets: Iterable[str]) -> dict[str, float]:
    """Without the learning rates of nets that a setting has left out."""
    names = {f"lr_{net}" for net in nets}
    return {n: value for n, value in hparams.items() if n in names or not n.startswith("lr_")}


LATE_NOISE = NoiseSchedule(1.25, 1.0)
"""max(1.25·(10 − epoch)/10, 1) in a run of 50 epochs."""


def reconstruction_gan_loss(batch: Batch, key: jax.Array, hparams: Hparams) -> GanLoss:
    """The GAN loss as the thesis has it in GANomaly and Skip-GANomaly: noise that stays, soft
    labels that are not flipped."""
    return GanLoss(key, batch.progress, hparams, noise=LATE_NOISE, flipped=0.0)


REDUCTIONS = ("sum", "mean")


def reduced(reduction: str, reconstruction: str) -> tuple[Distance, Distance]:
    """The distances of images and of latents or features, (N, ...) twice -> (N,) each.

    Args:
      reduction: `sum`, over pixels, and a Euclidean norm of latents, as the thesis' code has them;
        `mean`, over pixels, and a mean square, as the papers'.
      reconstruction: key of `losses.RESIDUALS`.
    """
    distance = losses.RESIDUALS[reconstruction].value
    if reduction == "mean":
        return distance, losses.mean_square
    return lambda x, y: x[0].size * distance(x, y), losses.norm


def weighted_sum(hparams: Hparams, terms: Mapping[str, jax.Array]) -> jax.Array:
    """The sum of terms, each times its hparam `w_<term>`."""
    return total(hparams[f"w_{name}"] * value for name, value in terms.items())


def total(values: Iterable[jax.Array]) -> jax.Array:
    """The sum of scalars, in their order."""
    return reduce(add, values)


def generate(nets: Nets, z: jax.Array) -> jax.Array:
    """G(z)."""
    return nets.generator(z)


def encode(nets: Nets, images: jax.Array, key: jax.Array, hparams: Hparams) -> jax.Array:
    """E(x)."""
    del key, hparams
    return nets.encoder(images)


def rebuild(nets: Nets, images: jax.Array) -> jax.Array:
    """G(E(x))."""
    return nets.generator(nets.encoder(images))


def logits(nets: Nets, images: jax.Array) -> jax.Array:
    """D's logits for images, (N,)."""
    return nets.discriminator(images).logits


def make_discriminator_loss(
    objective: Objective,
    penalised: bool = False,
    output: Callable[[Nets, jax.Array], jax.Array] = logits,
) -> Loss:
    """The loss of D for x against G(z).

    Args:
      objective: of D's outputs.
      penalised: whether `w_penalty` weighs a gradient penalty on the outputs.
      output: (nets, images (N, P, P, C)) -> D's outputs (N,).
    """

    def loss(nets: Nets, batch: Batch, key: jax.Array, hparams: Hparams) -> LossAndTerms:
        gan = GanLoss(key, batch.progress, hparams)
        real = gan.add_input_noise(batch.images, "real")
        generated = gan.add_input_noise(nets.generator(batch.z), "generated")
        outputs = output(nets, real), output(nets, generated)
        value, terms = gan.discriminator_loss(objective, *outputs)
        if penalised:
            unrecorded = nets.unrecorded()
            terms["penalty"] = gan.penalty(partial(output, unrecorded), real, generated)
            value += hparams["w_penalty"] * terms["penalty"]
        return value, terms

    return loss


def make_gan_losses(objective: Objective, penalised: bool = False) -> tuple[Loss, Loss]:
    """The losses of D and of G for x against G(z), if asked with a gradient penalty."""

    def generator_loss(nets: Nets, batch: Batch, key: jax.Array, hparams: Hparams) -> LossAndTerms:
        """G(z) should pass for real."""
        gan = GanLoss(key, batch.progress, hparams)
        generated = nets.generator(batch.z)
        output = nets.discriminator(gan.add_input_noise(generated, "generated"))
        spread = adversarial.spread(generated, batch.images)
        return gan.generator_loss(objective, output.logits), {"spread": spread}

    return make_discriminator_loss(objective, penalised), generator_loss


def logit_score(logits: jax.Array, hparams: Hparams) -> jax.Array:
    """The score `discriminator`: −D(x), higher for what D calls generated, (N,) -> (N,).

    With LF, D learnt high logits for what is generated.
    """
    return (2 * hparams["trick_LF"] - 1) * logits


def make_clip(limit: float) -> Callable[[dict], dict]:
    """Keeps kernels and biases in [-limit, limit] (Arjovsky et al. 2017).

    The scales of batch norm are left alone: they multiply layer by layer, and clipped with the
    rest they would leave a deep critic without a gradient.
    """

    def clip(path: tuple, leaf: jax.Array) -> jax.Array:
        return leaf if path[-1].key == "scale" else jnp.clip(leaf, -limit, limit)

    return lambda params: jax.tree_util.tree_map_with_path(clip, params)


def gan_updates(
    loss: LossSettings, optim: OptimSettings, losses_: tuple[Loss, Loss]
) -> tuple[Update, Update]:
    """The discriminator's update and the generator's, each as often a step as `config.loss` says.

    Args:
      loss: with `objective`, for `wgan` of which the discriminator's weights are clipped, and how
        often each update runs.
      optim: of Adam.
      losses_: of the discriminator and of the generator.
    """
    critic = Update(
        "discriminator",
        ("discriminator",),
        losses_[0],
        adam(optim),
        repeat=loss.critic_updates,
        project=make_clip(loss.clip) if loss.objective == "wgan" else None,
    )
    generator = Update(
        "generator", ("generator",), losses_[1], adam(optim), repeat=loss.generator_updates
    )
    return critic, generator
