"""ALAD (thesis section 2.3.3, table A3; Zenati et al. 2018, "Adversarially Learned Anomaly
Detection").

BiGAN's discriminator of pairs, D_xz, and two more that make E and G each other's inverse (equations
2.82 to 2.88): D_xx tells (x, x) from (x, G(E(x))), D_zz tells (z, z) from (z, E(G(z))). G and E are
updated together on all of them, with labels swapped; the terms of (x, x) and (z, z) do not
depend on G and E, so they are left out there. The discriminators move first, as in the public
code; the thesis describes them second. Switches: `spectral_norm` (discriminators and
encoder, one power iteration), `allow_xx`, `allow_zz`.

Of the thesis' training tricks, soft and flipped labels are D_xz's alone, as there; input noise is
on every image that a discriminator sees.

Departures: the public code joins the two images along their height, we along channels. The score
`logits` is −log D_xx(x, x̂): equation 2.90 has it without the sign, which would call an image
the more anomalous, the more real D_xx finds its reconstruction.
"""

import jax

from semad import losses
from semad.config.schema import Settings
from semad.losses import adversarial
from semad.losses.adversarial import CROSS_ENTROPY, GanLoss
from semad.methods.common import (
    LossAndTerms,
    adam,
    encode,
    for_nets,
    gan_hparams,
    generate,
    image_shape,
    layer_settings,
    logit_score,
    rebuild,
    total,
)
from semad.nets.alad import AladEncoder, DiscriminatorXX, DiscriminatorXZ, DiscriminatorZZ
from semad.nets.thesis import DiscriminatorOutput, Generator
from semad.types import Batch, Hparams, Loss, Method, MethodOutput, Net, Nets, Phase, Update
from semad.utils.rng import stream

Pairs = dict[str, tuple[DiscriminatorOutput, DiscriminatorOutput]]


def make_losses(names: tuple[str, ...]) -> tuple[Loss, Loss]:
    """The losses of the discriminators, and of E and G, for the pairs in use: xz, xx, zz."""

    def discriminate_pairs(nets: Nets, batch: Batch, gan: GanLoss) -> tuple[Pairs, jax.Array]:
        """For each discriminator its outputs for real and for generated pairs; and G(z)."""
        x, z = batch.images, batch.z
        code, generated = nets.encoder(x), nets.generator(z)
        pairs = {
            "xz": (
                (gan.add_input_noise(x, "real"), code),
                (gan.add_input_noise(generated, "generated"), z),
            )
        }
        if "xx" in names:
            rebuilt = gan.add_input_noise(nets.generator(code), "rebuilt")
            shown = gan.add_input_noise(x, "xx")
            pairs["xx"] = ((shown, gan.add_input_noise(x, "again")), (shown, rebuilt))
        if "zz" in names:
            pairs["zz"] = ((z, z), (z, nets.encoder(generated)))
        outputs = {}
        for name, (real, fake) in pairs.items():
            discriminator = getattr(nets, f"discriminator_{name}")
            outputs[name] = (
                discriminator(*real, key=gan.dropout_key(f"{name}/real")),
                discriminator(*fake, key=gan.dropout_key(f"{name}/generated")),
            )
        return outputs, generated

    def gan_loss_of(gan: GanLoss, name: str) -> GanLoss:
        """The GAN loss of D_xz, D_xx or D_zz, each with random labels of its own."""
        apart = gan._replace(key=stream(gan.key, name))
        return apart if name == "xz" else apart.without("SL", "LF")

    def discriminator_loss(
        nets: Nets, batch: Batch, key: jax.Array, hparams: Hparams
    ) -> LossAndTerms:
        """The cross-entropy of every discriminator: the first pair is real, the second is not."""
        gan = GanLoss(key, batch.progress, hparams)
        terms: dict[str, jax.Array] = {}
        for name, (real, fake) in discriminate_pairs(nets, batch, gan)[0].items():
            gan_of_pair = gan_loss_of(gan, name)
            loss, parts = gan_of_pair.discriminator_loss(CROSS_ENTROPY, real.logits, fake.logits)
            terms |= {name: loss} | {f"{name}_{part}": value for part, value in parts.items()}
        return total(terms[name] for name in names), terms

    def generator_loss(nets: Nets, batch: Batch, key: jax.Array, hparams: Hparams) -> LossAndTerms:
        """The labels swapped."""
        gan = GanLoss(key, batch.progress, hparams)
        outputs, generated = discriminate_pairs(nets, batch, gan)
        terms = {
            name: gan_loss_of(gan, name).generator_loss(CROSS_ENTROPY, fake.logits)
            for name, (_, fake) in outputs.items()
        }
        terms["xz"] += gan.generator_loss(CROSS_ENTROPY, outputs["xz"][0].logits, 0.0)
        summed = total(terms.values())
        return summed, terms | {"spread": adversarial.spread(generated, batch.images)}

    return discriminator_loss, generator_loss


def score(nets: Nets, images: jax.Array, key: jax.Array, hparams: Hparams) -> MethodOutput:
    """Equation 2.89 (`features`), the logits of 2.90, and D_xz's logit for (x, E(x))."""
    del key
    latent = nets.encoder(images)
    rebuilt = nets.generator(latent)
    same, other = nets.discriminator_xx(images, images), nets.discriminator_xx(images, rebuilt)
    scores = {
        "features": losses.sum_absolute(same.features, other.features),
        "logits": losses.cross_entropy(other.logits, 1.0),
        "discriminator": logit_score(nets.discriminator_xz(images, latent).logits, hparams),
    }
    return MethodOutput(scores, rebuilt)


def score_without_xx(
    nets: Nets, images: jax.Array, key: jax.Array, hparams: Hparams
) -> MethodOutput:
    """D_xz's logit; without D_xx there is no other score."""
    del key
    latent = nets.encoder(images)
    scores = {"discriminator": logit_score(nets.discriminator_xz(images, latent).logits, hparams)}
    return MethodOutput(scores, nets.generator(latent))


def build(settings: Settings) -> Method:
    """The method for a config of `configs/alad.py`."""
    data, model, layers = settings.data, settings.model, layer_settings(settings.model)
    norm, image, latent = model.spectral_norm, image_shape(settings.data), (model.latent_dim,)
    of_pairs = {
        "xz": Net(DiscriminatorXZ(data.patch_size, layers, norm), (image, latent)),
        "xx": Net(DiscriminatorXX(layers, norm), (image, image)),
        "zz": Net(DiscriminatorZZ(layers, norm), (latent, latent)),
    }
    on = {"xz": True, "xx": model.allow_xx, "zz": model.allow_zz}
    names = tuple(name for name in of_pairs if on[name])
    nets = {
        "generator": Net(Generator(data.patch_size, data.channels, layers, last_size=4), (latent,)),
        "encoder": Net(AladEncoder(data.patch_size, model.latent_dim, layers, norm), (image,)),
    } | {f"discriminator_{name}": of_pairs[name] for name in names}
    discriminators = tuple(f"discriminator_{name}" for name in names)
    discriminator_loss, generator_loss = make_losses(names)
    updates = (
        Update("discriminator", discriminators, discriminator_loss, adam(settings.optim)),
        Update("generator", ("generator", "encoder"), generator_loss, adam(settings.optim)),
    )
    return Method(
        name="alad",
        nets=nets,
        latent_dim=model.latent_dim,
        phases=(Phase("alad", settings.train.epochs, updates),),
        hparams=for_nets(gan_hparams(settings.lr), nets),
        score=score if model.allow_xx else score_without_xx,
        default_score="features" if model.allow_xx else "l1",
        label_symmetric=True,
        sample=generate,
        encode=encode,
        reconstruct=rebuild,
    )
