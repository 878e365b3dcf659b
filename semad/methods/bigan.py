"""BiGAN (thesis section 2.3.2; Donahue et al. 2017), with the anomaly score of Zenati et al. 2018.

The discriminator sees pairs: (x, E(x)) as real, (G(z), z) as generated (equation 2.35). Encoder
and generator are updated together, on swapped labels, so that the GAN loss alone makes E the
inverse of G. Generator and encoder of table A2, the encoder's first layer without batch norm; the
discriminator is the one that the thesis' code builds (`semad.nets.thesis.PairDiscriminator`). With
`config.loss.feature_matching`, 0.1 in that code, G also pays for the distance of its pairs'
features from those of real pairs. ALI has the same losses with another encoder, so what differs is
passed: `Encode` gives z for a loss, from a key.
"""

from collections.abc import Callable

import jax

from semad import losses
from semad.config.schema import Settings
from semad.losses import adversarial
from semad.losses.adversarial import CROSS_ENTROPY, GanLoss
from semad.methods.common import (
    LossAndTerms,
    adam,
    gan_hparams,
    generate,
    image_shape,
    layer_settings,
    logit_score,
)
from semad.nets.thesis import (
    ConvStackSettings,
    DiscriminatorOutput,
    Encoder,
    Generator,
    PairDiscriminator,
)
from semad.types import Batch, Hparams, Loss, Method, MethodOutput, Net, Nets, Phase, Score, Update
from semad.utils.rng import Stream, stream

Encode = Callable[[Nets, jax.Array, jax.Array | None], jax.Array]
"""(nets, images, key) -> z; without a key the value to score with."""

CONV_STACK = ConvStackSettings(first_norm=False)
"""Of the encoders."""


def encode(nets: Nets, images: jax.Array, key: jax.Array | None) -> jax.Array:
    """E(x)."""
    del key
    return nets.encoder(images)


def make_losses(encode: Encode) -> tuple[Loss, Loss]:
    """The discriminator's loss, and that of encoder and generator."""

    def discriminate_pairs(
        nets: Nets, batch: Batch, gan: GanLoss
    ) -> tuple[DiscriminatorOutput, DiscriminatorOutput, jax.Array]:
        """D's outputs for (x, E(x)) and (G(z), z), and G(z)."""
        latent = encode(nets, batch.images, stream(gan.key, Stream.ENCODER_NOISE))
        generated = nets.generator(batch.z)
        pairs = {
            "real": (gan.add_input_noise(batch.images, "real"), latent),
            "generated": (gan.add_input_noise(generated, "generated"), batch.z),
        }
        real, fake = (
            nets.discriminator(*pair, key=gan.dropout_key(name)) for name, pair in pairs.items()
        )
        return real, fake, generated

    def discriminator_loss(
        nets: Nets, batch: Batch, key: jax.Array, hparams: Hparams
    ) -> LossAndTerms:
        """Equation 2.35, maximised over D: (x, E(x)) is real, (G(z), z) is not."""
        gan = GanLoss(key, batch.progress, hparams)
        real, generated, _ = discriminate_pairs(nets, batch, gan)
        return gan.discriminator_loss(CROSS_ENTROPY, real.logits, generated.logits)

    def generator_loss(nets: Nets, batch: Batch, key: jax.Array, hparams: Hparams) -> LossAndTerms:
        """The labels swapped, for G and E together (Donahue et al., section 3.4).

        `feature_matching` weighs G's distance ‖f(x, E(x)) − f(G(z), z)‖₂, of pairs that have
        nothing to do with each other; E is not asked for it.
        """
        gan = GanLoss(key, batch.progress, hparams)
        real, generated, images = discriminate_pairs(nets, batch, gan)
        terms = {
            "encoder": gan.generator_loss(CROSS_ENTROPY, real.logits, 0.0),
            "generator": gan.generator_loss(CROSS_ENTROPY, generated.logits),
        }
        wanted = jax.lax.stop_gradient(real.features)
        matching = losses.norm(wanted, generated.features).mean()
        total = terms["encoder"] + terms["generator"] + hparams["feature_matching"] * matching
        health = {"spread": adversarial.spread(images, batch.images)}
        return total, terms | {"feature_matching": matching} | health

    return discriminator_loss, generator_loss


def make_score(encode: Encode, weight: float, degree: int) -> Score:
    """w·‖x − G(E(x))‖ + (1 − w)·L_D with both forms of L_D (Zenati et al., section 3).

    `features`: the distance of f(x, E(x)) and f(G(E(x)), E(x)); `cross_entropy`: that of
    D(x, E(x)) to "real"; `discriminator`: D's logit alone.
    """

    def score(nets: Nets, images: jax.Array, key: jax.Array, hparams: Hparams) -> MethodOutput:
        del key
        latent = encode(nets, images, None)
        reconstruction = nets.generator(latent)
        seen = nets.discriminator(images, latent)
        rebuilt = nets.discriminator(reconstruction, latent)
        residual = weight * losses.norm(images, reconstruction, degree)
        features = losses.norm(seen.features, rebuilt.features, degree)
        cross_entropy = losses.cross_entropy(seen.logits, adversarial.real_target(hparams))
        scores = {
            "features": residual + (1 - weight) * features,
            "cross_entropy": residual + (1 - weight) * cross_entropy,
            "discriminator": logit_score(seen.logits, hparams),
        }
        return MethodOutput(scores, reconstruction)

    return score


def assemble(settings: Settings, encoder: Net, encode: Encode) -> Method:
    """The GAN of pairs with a given encoder."""
    data, latent_dim = settings.data, settings.model.latent_dim
    image, latent = image_shape(settings.data), (latent_dim,)
    discriminator_loss, generator_loss = make_losses(encode)
    updates = (
        Update("discriminator", ("discriminator",), discriminator_loss, adam(settings.optim)),
        Update("generator", ("generator", "encoder"), generator_loss, adam(settings.optim)),
    )
    return Method(
        name=settings.method,
        nets={
            "generator": Net(
                Generator(data.patch_size, data.channels, layer_settings(settings.model)), (latent,)
            ),
            "encoder": encoder,
            "discriminator": Net(
                PairDiscriminator(data.patch_size, layer_settings(settings.model)), (image, latent)
            ),
        },
        latent_dim=latent_dim,
        phases=(Phase(settings.method, settings.train.epochs, updates),),
        hparams=gan_hparams(settings.lr) | {"feature_matching": settings.loss.feature_matching},
        score=make_score(encode, settings.score.reconstruction_weight, settings.score.degree),
        default_score="features",
        label_symmetric=True,
        sample=generate,
        encode=lambda nets, images, *_: encode(nets, images, None),
        reconstruct=lambda nets, images: nets.generator(encode(nets, images, None)),
    )


def build(settings: Settings) -> Method:
    """The method for a config of `configs/bigan.py`."""
    encoder = Encoder(
        settings.data.patch_size,
        settings.model.latent_dim,
        layer_settings(settings.model),
        CONV_STACK,
    )
    return assemble(settings, Net(encoder, (image_shape(settings.data),)), encode)
