"""EBGAN (thesis section 3.2; Zhao et al. 2017): the discriminator is an autoencoder.

D(x) = ‖AE(x) − x‖₂ is an energy, low for real images. With the objective `margin`, D minimises
D(x) + max(0, m − D(G(z))), the hinge per sample, and G minimises D(G(z)) + w·pull-away(Enc(G(z)))
(equations 3.7 and 3.8; the thesis' code leaves out the square of 3.8, we don't). `wgan` and
`wgan_gp` have the critic's loss with −D(x) as its value.

G moves three times to one move of D (`config.loss.generator_updates`), as in the thesis' code. With
`config.data.normalisation = "standardise"` the norm of a patch of 32×32 is 32, which the margin of
20 is within; on [-1, 1] it is about 8, and D need not push G(z) up to be done with it.

ENCEBGAN and SENCEBGAN start with these losses; what they add is in their files.
"""

import jax

from semad import losses
from semad.config.schema import Settings
from semad.losses import adversarial
from semad.losses.adversarial import WASSERSTEIN, GanLoss, Objective, energy_margin
from semad.methods.common import (
    LossAndTerms,
    gan_hparams,
    gan_updates,
    generate,
    image_shape,
    layer_settings,
    make_discriminator_loss,
)
from semad.nets.autoencoders import Energy, EnergyDiscriminator, EnergyGenerator
from semad.types import Batch, Hparams, Loss, Method, MethodOutput, Net, Nets, Phase, Update

OBJECTIVES = ("margin", "wgan", "wgan_gp")


def energy(images: jax.Array, seen: Energy) -> jax.Array:
    """‖x − AE(x)‖₂, (N,)."""
    return losses.norm(images, seen.reconstruction)


def make_gan_losses(name: str, margin: float, similarity: bool = False) -> tuple[Loss, Loss]:
    """The losses of D and of G for one of `OBJECTIVES`.

    Args:
      name: of the objective.
      margin: m.
      similarity: whether G's loss has ‖Enc(x) − Enc(G(z))‖₂, which SENCEBGAN adds (section 4.4).
        The others do without it, not with a weight of 0: Enc(x) takes 8 % of a `small` step.
    """
    objective: Objective = energy_margin(margin) if name == "margin" else WASSERSTEIN
    sign = 1.0 if name == "margin" else -1.0

    def output(nets: Nets, images: jax.Array) -> jax.Array:
        return sign * energy(images, nets.discriminator(images))

    def generator_loss(nets: Nets, batch: Batch, key: jax.Array, hparams: Hparams) -> LossAndTerms:
        """Low energy for G(z), and embeddings that pull away from each other."""
        gan = GanLoss(key, batch.progress, hparams)
        generated = nets.generator(batch.z)
        shown = gan.add_input_noise(generated, "generated")
        seen = nets.discriminator(shown)
        terms = {
            "adversarial": gan.generator_loss(objective, sign * energy(shown, seen)),
            "pull_away": adversarial.pull_away(seen.code),
        }
        total = terms["adversarial"] + hparams["w_pull_away"] * terms["pull_away"]
        if similarity:
            wanted = nets.discriminator(gan.add_input_noise(batch.images, "real")).code
            terms["similarity"] = losses.norm(wanted, seen.code).mean()
            total += hparams["w_similarity"] * terms["similarity"]
        return total, terms | {"spread": adversarial.spread(generated, batch.images)}

    return make_discriminator_loss(objective, name == "wgan_gp", output), generator_loss


def energy_score(images: jax.Array, seen: Energy, hparams: Hparams) -> jax.Array:
    """D(x), the higher the less real: (N,). With LF, D learnt high energies for real images."""
    return (1 - 2 * hparams["trick_LF"]) * energy(images, seen)


def score(nets: Nets, images: jax.Array, key: jax.Array, hparams: Hparams) -> MethodOutput:
    """The energy, and distances to G(Enc(x)), which no loss makes small; reconstructions by D.

    With LF, what D makes of the residual scores `l1`, `l2` and `ssim` has no meaning.
    """
    del key
    seen = nets.discriminator(images)
    generated = nets.generator(seen.code)
    again = nets.discriminator(generated).code
    scores = {
        "energy": energy_score(images, seen, hparams),
        "image": losses.norm(images, generated),
        "embedding_l1": losses.norm(seen.code, again, 1),
        "embedding_l2": losses.norm(seen.code, again, 2),
    }
    return MethodOutput(scores, seen.reconstruction)


def gan_nets(settings: Settings) -> dict[str, Net]:
    """Generator and discriminator."""
    data, latent_dim, layers = (
        settings.data,
        settings.model.latent_dim,
        layer_settings(settings.model),
    )
    # With a gradient penalty no image's energy may depend on its neighbours.
    critic = layers._replace(batch_norm=settings.loss.objective != "wgan_gp")
    discriminator = EnergyDiscriminator(data.patch_size, data.channels, latent_dim, critic)
    return {
        "generator": Net(EnergyGenerator(data.patch_size, data.channels, layers), ((latent_dim,),)),
        "discriminator": Net(discriminator, (image_shape(settings.data),)),
    }


def updates(settings: Settings) -> tuple[Update, Update]:
    """Discriminator, then generator."""
    loss = settings.loss
    losses_ = make_gan_losses(loss.objective, loss.margin, "similarity" in dict(loss))
    return gan_updates(loss, settings.optim, losses_)


def hparams(settings: Settings) -> dict[str, float]:
    """Learning rates, tricks and the weights of the terms."""
    loss = settings.loss
    weights = {"w_penalty": loss.penalty, "w_pull_away": loss.pull_away}
    if "similarity" in dict(loss):
        weights["w_similarity"] = loss.similarity
    return gan_hparams(settings.lr) | weights


def build(settings: Settings) -> Method:
    """The method for a config of `configs/ebgan.py`."""
    return Method(
        name="ebgan",
        nets=gan_nets(settings),
        latent_dim=settings.model.latent_dim,
        phases=(Phase("ebgan", settings.train.epochs, updates(settings)),),
        hparams=hparams(settings),
        score=score,
        default_score="energy",
        sample=generate,
        encode=lambda nets, images, *_: nets.discriminator(images).code,
        reconstruct=lambda nets, images: nets.discriminator(images).reconstruction,
    )
