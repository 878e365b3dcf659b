"""GAN losses: objectives, the training tricks of section 5.5, penalties, terms for the log.

Every adversarial loss is a function of the discriminator's output for each example and of a target
in [0, 1], 1 for real. The tricks change targets and inputs alone, so all eight combinations apply
to every objective:

    IN  input noise: σ = max(0.75·(1 − 5·progress), 0.05) on the images that D sees; the thesis
        writes 0.75·(10 − epoch)/10, in runs of 50 epochs
    SL  soft labels, for D: real in [0.9, 1], generated in [0, 0.1], 5 % of them flipped
    LF  label flipping: real is 0 and generated 1, for D and for what G aims at

Where the thesis runs a system otherwise (GANomaly, Skip-GANomaly, ALAD), its file says how. They
are traced scalars (`hparams["trick_IN"]` = 0 or 1), so members of a population may differ.

With cross-entropy, LF changes nothing but names: the losses under LF are those without it at
negated logits, and a D whose last layer is linear can negate its logits as it likes. With other
objectives it is another loss.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from semad import losses
from semad.types import Hparams
from semad.utils.rng import Stream, stream

Terms = dict[str, jax.Array]

TRICKS = ("IN", "SL", "LF")
COMBINATIONS = ("none", "IN", "SL", "LF", "IN+SL", "IN+LF", "SL+LF", "IN+SL+LF")
FLIPPED = 0.05
"""Share of soft labels that are flipped."""

_SOFTNESS = 0.1


def trick_hparams(combination: str) -> dict[str, float]:
    """The hparams of one of `COMBINATIONS`."""
    on = combination.split("+")
    return {f"trick_{trick}": float(trick in on) for trick in TRICKS}


def real_target(hparams: Hparams) -> jax.Array:
    """The target that D learnt for real examples, a scalar: 1, or 0 with LF. Scores need it too."""
    return 1 - hparams["trick_LF"]


class Objective(NamedTuple):
    """A GAN loss per example, and terms for the log that show whether D and G are in balance.

    Attributes:
      loss: (D's output (N,), target, a scalar or (N,)) -> (N,); the same for D and for G, whose
        targets differ.
      health: (output on real, output on generated) -> terms for the log.
    """

    loss: Callable[[jax.Array, jax.Array], jax.Array]
    health: Callable[[jax.Array, jax.Array], Terms]


def _saturation(on_real: jax.Array, on_generated: jax.Array) -> Terms:
    """Mean |2σ(logit) − 1|: 0 undecided, 1 so sure that no gradient is left."""
    logits = jnp.concatenate([on_real, on_generated])
    return {"saturation": jnp.abs(jnp.tanh(logits / 2)).mean()}


def _wasserstein(values: jax.Array, target: jax.Array) -> jax.Array:
    return (1 - 2 * target) * values


def _distance(on_real: jax.Array, on_generated: jax.Array) -> Terms:
    """The critic's estimate of the Wasserstein distance, up to its slope."""
    return {"distance": on_real.mean() - on_generated.mean()}


CROSS_ENTROPY = Objective(losses.cross_entropy, _saturation)
"""Equations 2.4 and 2.5 (non-saturating), on logits."""

WASSERSTEIN = Objective(_wasserstein, _distance)
"""The critic's loss (Arjovsky et al. 2017): up on real, down on generated."""


def energy_margin(margin: float) -> Objective:
    """Equation 3.7: outputs are energies, low for real; the hinge is per sample."""

    def loss(energies: jax.Array, target: jax.Array) -> jax.Array:
        return target * energies + (1 - target) * jnp.maximum(0.0, margin - energies)

    def health(on_real: jax.Array, on_generated: jax.Array) -> Terms:
        gap = on_generated.mean() - on_real.mean()
        return {"hinge_active": (on_generated < margin).mean(), "energy_gap": gap}

    return Objective(loss, health)


class NoiseSchedule(NamedTuple):
    """σ of the input noise: `first` at the start, 0 after a fifth of the run, at least `least`."""

    first: float
    least: float

    def sigma(self, progress: jax.Array) -> jax.Array:
        """At a share of the run."""
        return jnp.maximum(self.first * (1 - 5 * progress), self.least)


INPUT_NOISE = NoiseSchedule(0.75, 0.05)


class GanLoss(NamedTuple):
    """The GAN loss of one update: its random numbers, its progress and its tricks.

    Attributes:
      key: of the loss.
      progress: share of the run done, float scalar.
      hparams: with `trick_<name>` for each of `TRICKS`.
      noise: the schedule of IN.
      flipped: share of the labels that SL flips.
    """

    key: jax.Array
    progress: jax.Array
    hparams: Hparams
    noise: NoiseSchedule = INPUT_NOISE
    flipped: float = FLIPPED

    def without(self, *tricks: str) -> "GanLoss":
        """The same loss without some of the tricks."""
        return self._replace(
            hparams=dict(self.hparams) | {f"trick_{name}": jnp.float32(0.0) for name in tricks}
        )

    def add_input_noise(self, images: jax.Array, name: str) -> jax.Array:
        """The images with input noise; each name draws its own."""
        sigma = self.noise.sigma(self.progress) * self.hparams["trick_IN"]
        key = stream(stream(self.key, Stream.INPUT_NOISE), name)
        return images + sigma * jax.random.normal(key, images.shape)

    def dropout_key(self, name: str) -> jax.Array:
        """The key of the dropout masks of what the discriminator sees under that name."""
        return stream(stream(self.key, Stream.DROPOUT), name)

    def discriminator_loss(
        self, objective: Objective, on_real: jax.Array, on_generated: jax.Array
    ) -> tuple[jax.Array, Terms]:
        """D's loss on its outputs (N,) for real and for generated examples, and its terms."""
        real, generated = self._targets(on_real.shape[0])
        real_loss = objective.loss(on_real, real).mean()
        generated_loss = objective.loss(on_generated, generated).mean()
        terms = {"real": real_loss, "generated": generated_loss}
        return real_loss + generated_loss, terms | objective.health(on_real, on_generated)

    def generator_loss(
        self, objective: Objective, logits: jax.Array, target: float = 1.0
    ) -> jax.Array:
        """G's loss on D's outputs (N,), which should be `target`; LF turns it round."""
        flip = self.hparams["trick_LF"]
        return objective.loss(logits, target + flip * (1 - 2 * target)).mean()

    def penalty(
        self, critic: Callable[[jax.Array], jax.Array], real: jax.Array, generated: jax.Array
    ) -> jax.Array:
        """`gradient_penalty` at points that this update draws, a scalar."""
        key = stream(self.key, Stream.PENALTY)
        return gradient_penalty(critic, real, generated, key)

    def _targets(self, count: int) -> tuple[jax.Array, jax.Array]:
        """D's targets for real and generated examples, (N,) each."""
        soft_key, flip_key = (stream(self.key, s) for s in (Stream.LABELS, Stream.LABEL_FLIPS))
        soft, flip = self.hparams["trick_SL"], self.hparams["trick_LF"]
        softness = soft * _SOFTNESS * jax.random.uniform(soft_key, (2, count))
        hard = jnp.array([[1.0], [0.0]])
        targets = hard + (1 - 2 * hard) * softness
        wrong = soft * jax.random.bernoulli(flip_key, self.flipped, (2, count))
        flips = wrong + flip - 2 * wrong * flip  # exclusive or
        targets = targets + flips * (1 - 2 * targets)
        return targets[0], targets[1]


def gradient_penalty(
    critic: Callable[[jax.Array], jax.Array], real: jax.Array, generated: jax.Array, key: jax.Array
) -> jax.Array:
    """Mean (‖∇D(x̂)‖₂ − 1)² at random points x̂ between pairs (Gulrajani et al. 2017), a scalar.

    The norm is over all pixels of an image, per sample.

    Args:
      critic: images (N, H, W, C) -> values (N,).
      real: images.
      generated: as many.
      key: for the points.
    """
    share = jax.random.uniform(key, (real.shape[0], 1, 1, 1))
    between = share * real + (1 - share) * generated
    slopes = jax.grad(lambda images: critic(images).sum())(between)
    squares = jnp.square(slopes).sum(axis=(1, 2, 3))
    return jnp.square(losses.safe_sqrt(squares) - 1).mean()


def pull_away(embeddings: jax.Array) -> jax.Array:
    """Equation 3.8, with its square: mean squared cosine between different rows of (N, F)."""
    count = embeddings.shape[0]
    lengths = losses.safe_sqrt(jnp.square(embeddings).sum(axis=1, keepdims=True))
    directions = embeddings / jnp.maximum(lengths, 1e-12)
    cosines = jnp.matmul(directions, directions.T, precision=jax.lax.Precision.HIGHEST)
    different = 1 - jnp.eye(count)
    return (different * jnp.square(cosines)).sum() / (count * (count - 1))


def spread(generated: jax.Array, real: jax.Array) -> jax.Array:
    """How much generated images differ among themselves, over how much real ones do: 0 is collapse.

    Each is the mean over pixels of the standard deviation over the batch.
    """
    return generated.std(axis=0).mean() / jnp.maximum(real.std(axis=0).mean(), 1e-12)
