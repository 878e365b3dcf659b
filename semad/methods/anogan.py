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
import optax

from semad import losses
from semad.config.schema import SearchSettings, Settings
from semad.errors import UserError
from semad.losses import adversarial
from semad.losses.adversarial import CROSS_ENTROPY
from semad.methods import latent_search
from semad.methods.common import (
    LossAndTerms,
    adam,
    for_nets,
    gan_hparams,
    generate,
    image_shape,
    layer_settings,
    logit_score,
    make_gan_losses,
    rebuild,
)
from semad.methods.latent_search import Descent, SearchResult
from semad.nets.thesis import Discriminator, Encoder, Generator
from semad.types import (
    Batch,
    Encode,
    Hparams,
    Loss,
    Method,
    MethodOutput,
    Net,
    Nets,
    Phase,
    Score,
    Update,
)
from semad.utils import backend

# Equations 2.4 and 2.5, the generator's in its non-saturating form.
discriminator_loss, generator_loss = make_gan_losses(CROSS_ENTROPY)


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


def recipe_of(search: SearchSettings) -> Recipe:
    """The recipe that `config.search` names, with what it sets itself."""
    recipe = RECIPES[search.recipe]
    given = {name: getattr(search, name) for name in GIVEN}
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
        output = nets.discriminator(generated)
        residual = losses.sum_absolute(target.images, generated)
        if discrimination == "features":
            other = losses.sum_absolute(target.features, output.features)
        else:
            other = losses.cross_entropy(output.logits, adversarial.real_target(hparams))
        total = (1 - weight) * residual + weight * other
        return Comparison(total, residual, other, generated)

    return compare


def make_encoder_loss() -> Loss:
    """L(E(x); x) of normal crops and of G's samples, whose latents E also learns; see the module.

    Batch statistics are followed on crops alone, for those are what E will see.
    """
    compare = make_comparison(LAMBDA)

    def loss(nets: Nets, batch: Batch, key: jax.Array, hparams: Hparams) -> LossAndTerms:
        del key
        generated = nets.generator(batch.z)
        codes = nets.encoder(batch.images), nets.unrecorded().encoder(generated)
        images = jnp.concatenate([batch.images, generated])
        target = Target(images, nets.discriminator(images).features)
        compared = compare(nets, jnp.concatenate(codes), target, hparams)
        per_pixel = compared.total / images[0].size
        real, of_samples = jnp.split(per_pixel, 2)
        terms = {
            "images": real.mean(),
            "samples": of_samples.mean(),
            "latents": losses.mean_square(batch.z, codes[1]).mean(),
        }
        return terms["images"] + terms["samples"] + LATENTS * terms["latents"], terms

    return loss


def make_search(
    search: SearchSettings, latent_dim: int, compare: Compare
) -> Callable[[Nets, Target, jax.Array, Hparams], SearchResult]:
    """The search by `config.search`: (nets, target, key, hparams) -> what was found."""
    recipe = recipe_of(search)
    steps = max(recipe.steps, 1)
    rate = optax.cosine_decay_schedule(recipe.lr, steps) if recipe.anneals else recipe.lr
    descent = Descent(
        optax.adam(rate),
        recipe.steps,
        keep_best=recipe.keep_best,
        tolerance=recipe.tolerance,
        together=search.together or backend.plan().latents_together,
    )

    def find(nets: Nets, target: Target, key: jax.Array, hparams: Hparams) -> SearchResult:
        # The same draws for all images: a score must not depend on the place in the batch.
        shape = 1 + search.restarts, latent_dim
        starts = jnp.broadcast_to(jax.random.normal(key, shape), (len(target.images), *shape))
        if search.recipe == "encoder":
            starts = starts.at[:, 0].set(nets.encoder(target.images))
        moving = nets.with_convolution(backend.plan().convolution).as_type(search.precision)

        def objective(z: jax.Array, single: Target) -> jax.Array:
            alone = jax.tree.map(lambda leaf: leaf[None], single)
            return compare(moving, z[None].astype(search.precision), alone, hparams).total[0]

        absent = jnp.isnan(target.images).all(axis=(1, 2, 3))
        return latent_search.search(objective, starts, target, descent, absent)

    return find


def make_score(search: SearchSettings, latent_dim: int) -> tuple[Score, Encode]:
    """The score A(x) and its two terms, by a search per image, and −D(x); and the search alone."""
    compare = make_comparison(search.weight, search.discrimination)
    find = make_search(search, latent_dim, compare)

    def encode(nets: Nets, images: jax.Array, key: jax.Array, hparams: Hparams) -> jax.Array:
        target = Target(images, nets.discriminator(images).features)
        return find(nets, target, key, hparams).z

    def score(nets: Nets, images: jax.Array, key: jax.Array, hparams: Hparams) -> MethodOutput:
        seen = nets.discriminator(images)
        target = Target(images, seen.features)
        result = find(nets, target, key, hparams)
        compared = compare(nets, result.z, target, hparams)
        scores = {
            "anomaly": compared.total,
            "residual": compared.residual,
            "discrimination": compared.discrimination,
            "discriminator": logit_score(seen.logits, hparams),
        }
        return MethodOutput(scores, compared.generated)

    return score, encode


def build(settings: Settings) -> Method:
    """The method for a config of `configs/anogan.py`.

    Raises:
      UserError: for a search that starts from an encoder, where none is trained.
    """
    data, latent_dim = settings.data, settings.model.latent_dim
    layers = layer_settings(settings.model)
    updates = (
        Update("discriminator", ("discriminator",), discriminator_loss, adam(settings.optim)),
        Update("generator", ("generator",), generator_loss, adam(settings.optim)),
    )
    nets = {
        "generator": Net(Generator(data.patch_size, data.channels, layers), ((latent_dim,),)),
        "discriminator": Net(Discriminator(data.patch_size, layers), (image_shape(settings.data),)),
    }
    phases = [Phase("gan", settings.train.epochs, updates)]
    if settings.train.encoder_epochs:
        nets["encoder"] = Net(
            Encoder(data.patch_size, latent_dim, layers), (image_shape(settings.data),)
        )
        update = Update("encoder", ("encoder",), make_encoder_loss(), adam(settings.optim))
        phases.append(
            Phase("encoder", settings.train.encoder_epochs, (update,), "train.encoder_epochs")
        )
    elif settings.search.recipe == "encoder":
        raise UserError(
            "config.search.recipe is 'encoder', and config.train.encoder_epochs is 0, so there is "
            "none; train with more, or search with --config.search.recipe=published"
        )
    score, encode = make_score(settings.search, latent_dim)
    return Method(
        name="anogan",
        nets=nets,
        latent_dim=latent_dim,
        phases=tuple(phases),
        hparams=for_nets(gan_hparams(settings.lr), nets),
        score=score,
        default_score="anomaly",
        label_symmetric=True,
        sample=generate,
        encode=encode,
        reconstruct=rebuild if "encoder" in nets else None,
        searches=True,
    )
