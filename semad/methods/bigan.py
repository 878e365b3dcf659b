"""BiGAN (thesis section 2.3.2; Donahue et al. 2017), with the anomaly score of Zenati et al. 2018.

The discriminator sees pairs: (x, E(x)) as real, (G(z), z) as generated (equation 2.35). Encoder
and generator are updated together, on swapped labels, so that the game alone makes E the inverse
of G. Networks of table A2; `semad.nets.thesis.PairDiscriminator` says where the discriminator
departs from it, and why.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import ml_collections

from semad import losses
from semad.methods.common import Lossed, Scored, adam, image_shape, learning_rates, style
from semad.nets.thesis import Encoder, Generator, Judgement, PairDiscriminator
from semad.types import Batch, Hparams, Method, Net, Nets, Phase, Update


def _play(nets: Nets, batch: Batch) -> tuple[Judgement, Judgement]:
    """The discriminator's judgement of the pairs (x, E(x)) and (G(z), z)."""
    real = nets.discriminator(batch.images, nets.encoder(batch.images))
    return real, nets.discriminator(nets.generator(batch.z), batch.z)


def discriminator_loss(nets: Nets, batch: Batch, key: jax.Array, hparams: Hparams) -> Lossed:
    """Equation 2.35, maximised over D: (x, E(x)) is real, (G(z), z) is not."""
    del key, hparams
    real, generated = _play(nets, batch)
    on_real = losses.cross_entropy(real.logits, 1.0).mean()
    on_generated = losses.cross_entropy(generated.logits, 0.0).mean()
    return on_real + on_generated, {"real": on_real, "generated": on_generated}


def generator_loss(nets: Nets, batch: Batch, key: jax.Array, hparams: Hparams) -> Lossed:
    """The labels swapped, for G and E together (Donahue et al., section 3.4).

    `feature_matching` weighs the squared distance of the two pairs' mean features, which the
    thesis' code adds; 0 by default.
    """
    del key
    real, generated = _play(nets, batch)
    encoder = losses.cross_entropy(real.logits, 0.0).mean()
    generator = losses.cross_entropy(generated.logits, 1.0).mean()
    matching = jnp.square(real.features.mean(axis=0) - generated.features.mean(axis=0)).sum()
    total = generator + encoder + hparams["feature_matching"] * matching
    return total, {"generator": generator, "encoder": encoder, "feature_matching": matching}


def make_score(weight: float, degree: int) -> Callable[[Nets, jax.Array, jax.Array], Scored]:
    """w·‖x − G(E(x))‖ + (1 − w)·L_D with both forms of L_D (Zenati et al., section 3).

    `features`: the distance of f(x, E(x)) and f(G(E(x)), E(x)); `cross_entropy`: that of
    D(x, E(x)) to "real".
    """

    def score(nets: Nets, images: jax.Array, key: jax.Array) -> Scored:
        del key
        latent = nets.encoder(images)
        reconstruction = nets.generator(latent)
        seen = nets.discriminator(images, latent)
        rebuilt = nets.discriminator(reconstruction, latent)
        residual = weight * losses.norm(images, reconstruction, degree)
        features = losses.norm(seen.features, rebuilt.features, degree)
        cross_entropy = losses.cross_entropy(seen.logits, 1.0)
        scores = {
            "features": residual + (1 - weight) * features,
            "cross_entropy": residual + (1 - weight) * cross_entropy,
        }
        return scores, reconstruction

    return score


def preview(nets: Nets, batch: Batch) -> dict[str, jax.Array]:
    """Samples and reconstructions."""
    reconstructions = nets.generator(nets.encoder(batch.images))
    return {"samples": nets.generator(batch.z), "reconstructions": reconstructions}


def build(config: ml_collections.ConfigDict) -> Method:
    """The method for a config of `configs/bigan.py`."""
    data, latent_dim = config.data, config.model.latent_dim
    image, latent = image_shape(config), (latent_dim,)

    updates = (
        Update("discriminator", ("discriminator",), discriminator_loss, adam(config)),
        Update("generator", ("generator", "encoder"), generator_loss, adam(config)),
    )
    return Method(
        name="bigan",
        nets={
            "generator": Net(Generator(data.patch_size, data.channels, style(config)), (latent,)),
            "encoder": Net(Encoder(data.patch_size, latent_dim, style(config)), (image,)),
            "discriminator": Net(
                PairDiscriminator(data.patch_size, style(config)), (image, latent)
            ),
        },
        latent_dim=latent_dim,
        phases=(Phase("bigan", config.train.epochs, updates),),
        hparams=learning_rates(config) | {"feature_matching": config.loss.feature_matching},
        score=make_score(config.score.reconstruction_weight, config.score.degree),
        default_score="features",
        preview=preview,
    )
