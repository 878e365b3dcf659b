"""EBGAN (thesis section 3.2; Zhao et al. 2017): the discriminator is an autoencoder.

D(x) = ‖AE(x) − x‖₂ is an energy, low for real images. With the objective `margin`, D minimises
D(x) + max(0, m − D(G(z))), the hinge per sample, and G minimises D(G(z)) + w·pull-away(Enc(G(z)))
(equations 3.7 and 3.8; the thesis' code leaves out the square of 3.8, we don't). `wgan` and
`wgan_gp` play the critic's game with −D(x) as its value.

G moves three times to one move of D (`config.loss.generator_updates`), as in the thesis' code. With
`config.data.normalisation = "standardise"` the norm of a patch of 32×32 is 32, which the margin of
20 is within; on [-1, 1] it is about 8, and D need not push G(z) up to be done with it.

ENCEBGAN and SENCEBGAN start with this game; what they add is in their files.
"""

import jax
import ml_collections

from semad import adversarial, losses
from semad.adversarial import WASSERSTEIN, Game, Objective, energy_margin
from semad.methods.common import Lossed, game_hparams, gan_updates, generate, image_shape, style
from semad.nets.autoencoders import Energy, EnergyDiscriminator, EnergyGenerator
from semad.types import Batch, Hparams, Loss, Method, Net, Nets, Phase, Scored, Update

OBJECTIVES = ("margin", "wgan", "wgan_gp")


def energy(images: jax.Array, seen: Energy) -> jax.Array:
    """‖x − AE(x)‖₂, (N,)."""
    return losses.norm(images, seen.reconstruction)


def make_game(name: str, margin: float) -> tuple[Loss, Loss]:
    """The losses of D and of G for one of `OBJECTIVES`."""
    objective: Objective = energy_margin(margin) if name == "margin" else WASSERSTEIN
    sign = 1.0 if name == "margin" else -1.0

    def discriminator_loss(nets: Nets, batch: Batch, key: jax.Array, hparams: Hparams) -> Lossed:
        """Low energy for x, high for G(z)."""
        game = Game(key, batch.progress, hparams)
        real = game.show(batch.images, "real")
        generated = game.show(nets.generator(batch.z), "generated")
        on_real = sign * energy(real, nets.discriminator(real))
        on_generated = sign * energy(generated, nets.discriminator(generated))
        loss, terms = game.discriminate(objective, on_real, on_generated)
        if name == "wgan_gp":
            apart = nets.unrecorded()
            terms["penalty"] = game.penalty(
                lambda images: -energy(images, apart.discriminator(images)), real, generated
            )
            loss += hparams["w_penalty"] * terms["penalty"]
        return loss, terms

    def generator_loss(nets: Nets, batch: Batch, key: jax.Array, hparams: Hparams) -> Lossed:
        """Low energy for G(z), and embeddings that pull away from each other.

        `w_similarity` weighs ‖Enc(x) − Enc(G(z))‖₂, which SENCEBGAN adds (section 4.4).
        """
        game = Game(key, batch.progress, hparams)
        generated = nets.generator(batch.z)
        shown = game.show(generated, "generated")
        seen = nets.discriminator(shown)
        wanted = nets.discriminator(game.show(batch.images, "real")).code
        terms = {
            "adversarial": game.persuade(objective, sign * energy(shown, seen)),
            "pull_away": adversarial.pull_away(seen.code),
            "similarity": losses.norm(wanted, seen.code).mean(),
        }
        total = terms["adversarial"] + hparams["w_pull_away"] * terms["pull_away"]
        total += hparams["w_similarity"] * terms["similarity"]
        return total, terms | {"spread": adversarial.spread(generated, batch.images)}

    return discriminator_loss, generator_loss


def unreal_energy(images: jax.Array, seen: Energy, hparams: Hparams) -> jax.Array:
    """D(x), the higher the less real: (N,). With LF, D learnt high energies for real images."""
    return (1 - 2 * hparams["trick_LF"]) * energy(images, seen)


def score(nets: Nets, images: jax.Array, key: jax.Array, hparams: Hparams) -> Scored:
    """The energy, and distances to G(Enc(x)), which no loss makes small; reconstructions by D.

    With LF, what D makes of the residual scores `l1`, `l2` and `ssim` has no meaning.
    """
    del key
    seen = nets.discriminator(images)
    generated = nets.generator(seen.code)
    again = nets.discriminator(generated).code
    scores = {
        "energy": unreal_energy(images, seen, hparams),
        "image": losses.norm(images, generated),
        "embedding_l1": losses.norm(seen.code, again, 1),
        "embedding_l2": losses.norm(seen.code, again, 2),
    }
    return Scored(scores, seen.reconstruction)


def game_nets(config: ml_collections.ConfigDict) -> dict[str, Net]:
    """Generator and discriminator."""
    data, latent_dim, look = config.data, config.model.latent_dim, style(config)
    # With a gradient penalty no image's energy may depend on its neighbours.
    critic = look._replace(batch_norm=config.loss.objective != "wgan_gp")
    judge = EnergyDiscriminator(data.patch_size, data.channels, latent_dim, critic)
    return {
        "generator": Net(EnergyGenerator(data.patch_size, data.channels, look), ((latent_dim,),)),
        "discriminator": Net(judge, (image_shape(config),)),
    }


def game_updates(config: ml_collections.ConfigDict) -> tuple[Update, Update]:
    """Discriminator, then generator."""
    return gan_updates(config, make_game(config.loss.objective, config.loss.margin))


def hparams(config: ml_collections.ConfigDict) -> dict[str, float]:
    """Learning rates, tricks and the game's weights."""
    loss = config.loss
    return game_hparams(config) | {
        "w_penalty": loss.penalty,
        "w_pull_away": loss.pull_away,
        "w_similarity": loss.get("similarity", 0.0),
    }


def build(config: ml_collections.ConfigDict) -> Method:
    """The method for a config of `configs/ebgan.py`."""
    return Method(
        name="ebgan",
        nets=game_nets(config),
        latent_dim=config.model.latent_dim,
        phases=(Phase("ebgan", config.train.epochs, game_updates(config)),),
        hparams=hparams(config),
        score=score,
        default_score="energy",
        sample=generate,
        reconstruct=lambda nets, images: nets.discriminator(images).reconstruction,
    )
