"""AnoGAN (thesis section 2.3.1; Schlegl et al. 2017): a plain GAN, and a search to score with.

Phase `gan` (tables A1, equations 2.4 and 2.5) plays with the non-saturating generator loss. An
image is scored by searching its latent: z alone moves, by Adam, down

    L(z; x) = (1 − λ)·Σ|x − G(z)| + λ·Σ|f(x) − f(G(z))|        (equations 2.32 and 2.33)

with weights frozen and batch norm in inference mode; the score is L where the search ends. Public
code swaps λ and 1 − λ; this is the paper's form.

Phase `encoder` is not in the paper: an encoder (table A2) learns to start the search where it would
end, with G and D frozen. It goes down L(E(x); x) for normal crops and for G's own samples, where
it also learns the latents that they were made of.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import ml_collections
import optax

from semad import adversarial, backend, losses
from semad.adversarial import CROSS_ENTROPY
from semad.errors import UserError
from semad.methods.common import (
    Lossed,
    adam,
    for_nets,
    game_hparams,
    generate,
    image_shape,
    make_game,
    rebuild,
    style,
    unreal,
)
from semad.nets.thesis import Discriminator, Encoder, Generator
from semad.scoring import latent_search
from semad.scoring.latent_search import Descent, SearchResult
from semad.types import Batch, Hparams, Loss, Method, Net, Nets, Phase, Score, Scored, Update

# Equations 2.4 and 2.5, the generator's in its non-saturating form.
discriminator_loss, generator_loss = make_game(CROSS_ENTROPY)


GIVEN = ("steps", "lr", "tolerance")
"""What `config.search` may set in place of the recipe."""


class Recipe(NamedTuple):
    """How a latent is searched for, where the config does not say otherwise.

    Attributes:
      steps: the most evaluations of the gradient per start.
      lr: of Adam.
      anneals: whether the learning rate falls to zero over the steps, by half a cosine.
      keep_best: whether the best z counts, the start among them, or the last.
      tolerance: share of the objective that five steps must gain, for the search to go on.
    """

    steps: int
    lr: float
    anneals: bool
    keep_best: bool
    tolerance: float


RECIPES = {
    "published": Recipe(steps=500, lr=1e-3, anneals=False, keep_best=False, tolerance=0.0),
    "annealed": Recipe(steps=100, lr=0.1, anneals=True, keep_best=True, tolerance=0.0),
    "encoder": Recipe(steps=10, lr=0.05, anneals=True, keep_best=True, tolerance=1e-3),
}
"""`published`: from one draw of N(0, I) for all images (Schlegl et al. 2017). `annealed`: from the
same draw, for a run without an encoder. `encoder`: from E(x). See docs/search.md."""


def recipe_of(search: ml_collections.ConfigDict) -> Recipe:
    """The recipe that `config.search` names, with what it sets itself."""
    recipe = RECIPES[search.recipe]
    given = {name: search[name] for name in GIVEN}
    return recipe._replace(**{name: value for name, value in given.items() if value is not None})


LAMBDA, LATENTS = 0.1, 0.1
"""Of the encoder's loss: λ, which is the paper's whatever a search is given at test time, and the
weight of the samples' latents, where L counts per pixel."""


class Target(NamedTuple):
    """What is known of images before their search: x (N, P, P, C), and f(x) (N, F)."""

    images: jax.Array
    features: jax.Array


class Comparison(NamedTuple):
    """L(z; x) and its two terms, (N,) each, and G(z)."""

    total: jax.Array
    residual: jax.Array
    discrimination: jax.Array
    generated: jax.Array


Compare = Callable[[Nets, jax.Array, Target, Hparams], Comparison]
"""`compare(nets, z, target, hparams)`: how close G(z) comes to images, N of each."""


def make_comparison(weight: float, discrimination: str = "features") -> Compare:
    """Equations 2.32 and 2.33.

    Args:
      weight: λ.
      discrimination: what it weighs: `features`, or `cross_entropy` of D(G(z)) to real.
    """

    def compare(nets: Nets, z: jax.Array, target: Target, hparams: Hparams) -> Comparison:
        generated = nets.generator(z)
        judgement = nets.discriminator(generated)
        residual = losses.sum_absolute(target.images, generated)
        if discrimination == "features":
            other = losses.sum_absolute(target.features, judgement.features)
        else:
            other = losses.cross_entropy(judgement.logits, adversarial.real_target(hparams))
        total = (1 - weight) * residual + weight * other
        return Comparison(total, residual, other, generated)

    return compare


def make_encoder_loss() -> Loss:
    """L(E(x); x) of normal crops and of G's samples, whose latents E also learns; see the module.

    Batch statistics are followed on crops alone, for those are what E will see.
    """
    compare = make_comparison(LAMBDA)

    def loss(nets: Nets, batch: Batch, key: jax.Array, hparams: Hparams) -> Lossed:
        del key
        generated = nets.generator(batch.z)
        codes = nets.encoder(batch.images), nets.unrecorded().encoder(generated)
        images = jnp.concatenate([batch.images, generated])
        target = Target(images, nets.discriminator(images).features)
        compared = compare(nets, jnp.concatenate(codes), target, hparams)
        per_pixel = compared.total / images[0].size
        real, made = jnp.split(per_pixel, 2)
        terms = {
            "images": real.mean(),
            "samples": made.mean(),
            "latents": losses.mean_square(batch.z, codes[1]).mean(),
        }
        return terms["images"] + terms["samples"] + LATENTS * terms["latents"], terms

    return loss


def make_search(
    settings: ml_collections.ConfigDict, latent_dim: int, compare: Compare
) -> Callable[[Nets, Target, jax.Array, Hparams], SearchResult]:
    """The search by `config.search`: (nets, target, key, hparams) -> what was found."""
    recipe = recipe_of(settings)
    steps = max(recipe.steps, 1)
    rate = optax.cosine_decay_schedule(recipe.lr, steps) if recipe.anneals else recipe.lr
    descent = Descent(
        optax.adam(rate),
        recipe.steps,
        keep_best=recipe.keep_best,
        tolerance=recipe.tolerance,
        together=settings.together or backend.plan().latents_together,
    )

    def find(nets: Nets, target: Target, key: jax.Array, hparams: Hparams) -> SearchResult:
        # The same draws for all images: a score must not depend on the place in the batch.
        shape = 1 + settings.restarts, latent_dim
        starts = jnp.broadcast_to(jax.random.normal(key, shape), (len(target.images), *shape))
        if settings.recipe == "encoder":
            starts = starts.at[:, 0].set(nets.encoder(target.images))
        moving = nets.as_type(settings.precision)

        def objective(z: jax.Array, one: Target) -> jax.Array:
            alone = jax.tree.map(lambda leaf: leaf[None], one)
            return compare(moving, z[None].astype(settings.precision), alone, hparams).total[0]

        absent = jnp.isnan(target.images).all(axis=(1, 2, 3))
        return latent_search.search(objective, starts, target, descent, absent)

    return find


def make_score(search: ml_collections.ConfigDict, latent_dim: int) -> Score:
    """The score A(x) and its two terms, by a search per image; and −D(x)."""
    compare = make_comparison(search.weight, search.discrimination)
    find = make_search(search, latent_dim, compare)

    def score(nets: Nets, images: jax.Array, key: jax.Array, hparams: Hparams) -> Scored:
        seen = nets.discriminator(images)
        target = Target(images, seen.features)
        found = find(nets, target, key, hparams)
        compared = compare(nets, found.z, target, hparams)
        scores = {
            "anomaly": compared.total,
            "residual": compared.residual,
            "discrimination": compared.discrimination,
            "discriminator": unreal(seen.logits, hparams),
        }
        return Scored(scores, compared.generated)

    return score


def build(config: ml_collections.ConfigDict) -> Method:
    """The method for a config of `configs/anogan.py`.

    Raises:
      UserError: for a search that starts from an encoder, where none is trained.
    """
    data, latent_dim = config.data, config.model.latent_dim
    look = style(config)._replace(looped=True)  # the search is a compiled loop
    updates = (
        Update("discriminator", ("discriminator",), discriminator_loss, adam(config)),
        Update("generator", ("generator",), generator_loss, adam(config)),
    )
    nets = {
        "generator": Net(Generator(data.patch_size, data.channels, look), ((latent_dim,),)),
        "discriminator": Net(Discriminator(data.patch_size, look), (image_shape(config),)),
    }
    phases = [Phase("gan", config.train.epochs, updates)]
    if config.train.encoder_epochs:
        nets["encoder"] = Net(Encoder(data.patch_size, latent_dim, look), (image_shape(config),))
        update = Update("encoder", ("encoder",), make_encoder_loss(), adam(config))
        phases.append(Phase("encoder", config.train.encoder_epochs, (update,)))
    elif config.search.recipe == "encoder":
        raise UserError(
            "config.search.recipe is 'encoder', and config.train.encoder_epochs is 0, so there is "
            "none; train with more, or search with --config.search.recipe=published"
        )
    return Method(
        name="anogan",
        nets=nets,
        latent_dim=latent_dim,
        phases=tuple(phases),
        hparams=for_nets(game_hparams(config), nets),
        score=make_score(config.search, latent_dim),
        default_score="anomaly",
        label_symmetric=True,
        sample=generate,
        reconstruct=rebuild if "encoder" in nets else None,
        searches=True,
    )
