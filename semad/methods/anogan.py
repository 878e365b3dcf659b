"""AnoGAN (thesis section 2.3.1; Schlegl et al. 2017): a plain GAN, and a search to score with.

The GAN (tables A1, equations 2.4 and 2.5) plays with the non-saturating generator loss. An image
is scored by searching its latent: z alone moves, by Adam, down

    L(z) = (1 − λ)·Σ|x − G(z)| + λ·Σ|f(x) − f(G(z))|        (equations 2.32 and 2.33)

with weights frozen and batch norm in inference mode; the score is L at the last step. Public code
swaps λ and 1 − λ; this is the paper's form.
"""

import jax
import ml_collections
import optax

from semad import adversarial, losses
from semad.adversarial import CROSS_ENTROPY
from semad.methods.common import (
    adam,
    game_hparams,
    generate,
    image_shape,
    make_game,
    style,
    unreal,
)
from semad.nets.thesis import Discriminator, Generator
from semad.scoring.latent_search import search_latent
from semad.types import Hparams, Method, Net, Nets, Phase, Score, Scored, Update

# Equations 2.4 and 2.5, the generator's in its non-saturating form.
discriminator_loss, generator_loss = make_game(CROSS_ENTROPY)


def make_score(search: ml_collections.ConfigDict, latent_dim: int) -> Score:
    """The score A(x) and its two terms, by a search per image, vmapped over the batch; and −D(x).

    Args:
      search: `steps`, `lr`, `weight` (λ) and `discrimination`: `features`, or `cross_entropy` of
        D(G(z)) to "real".
      latent_dim: length of z.
    """
    optimizer = optax.adam(search.lr)

    def score(nets: Nets, images: jax.Array, key: jax.Array, hparams: Hparams) -> Scored:
        # One start for all images: a score must not depend on the place in the batch.
        start = jax.random.normal(key, (latent_dim,))
        target = adversarial.real_target(hparams)

        def search_one(image: jax.Array) -> Scored:
            seen = nets.discriminator(image[None])

            def look(z: jax.Array) -> tuple[jax.Array, tuple[dict[str, jax.Array], jax.Array]]:
                generated = nets.generator(z[None])
                residual = losses.sum_absolute(image[None], generated)[0]
                judgement = nets.discriminator(generated)
                if search.discrimination == "features":
                    other = losses.sum_absolute(seen.features, judgement.features)[0]
                else:
                    other = losses.cross_entropy(judgement.logits, target)[0]
                total = (1 - search.weight) * residual + search.weight * other
                scores = {"anomaly": total, "residual": residual, "discrimination": other}
                return total, (scores, generated[0])

            z = search_latent(lambda z: look(z)[0], start, optimizer, search.steps)
            scores, rebuilt = look(z)[1]
            return Scored(scores | {"discriminator": unreal(seen.logits, hparams)[0]}, rebuilt)

        return jax.vmap(search_one)(images)

    return score


def build(config: ml_collections.ConfigDict) -> Method:
    """The method for a config of `configs/anogan.py`."""
    data, latent_dim = config.data, config.model.latent_dim
    look = style(config)._replace(looped=True)  # the search is a compiled loop
    updates = (
        Update("discriminator", ("discriminator",), discriminator_loss, adam(config)),
        Update("generator", ("generator",), generator_loss, adam(config)),
    )
    generator = Generator(data.patch_size, data.channels, look)
    discriminator = Discriminator(data.patch_size, look)
    return Method(
        name="anogan",
        nets={
            "generator": Net(generator, ((latent_dim,),)),
            "discriminator": Net(discriminator, (image_shape(config),)),
        },
        latent_dim=latent_dim,
        phases=(Phase("gan", config.train.epochs, updates),),
        hparams=game_hparams(config),
        score=make_score(config.search, latent_dim),
        default_score="anomaly",
        label_symmetric=True,
        sample=generate,
        searches=True,
    )
