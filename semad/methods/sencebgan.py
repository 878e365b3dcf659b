"""SENCEBGAN (thesis section 4.4, figures 43 and 45): ENCEBGAN and a second encoder, in sequence.

Phase `gan`: EBGAN's losses with 0.1·‖Enc(x) − Enc(G(z))‖₂ (visual similarity) in G's loss, and
three generator updates to one of the discriminator. Phase `encoder`: E_G, by one of ENCEBGAN's
losses. Phase `return`: E_R alone, back from the reconstruction, by ‖E_R(G(E_G(x))) − E_G(x)‖₂.

Two of ALAD's discriminators can join, each against the encoder of its phase: `allow_xx` in
phase `encoder`, (x, x) against (x, G(E_G(x))); `allow_zz` in phase `return`, (E_G(x), E_G(x))
against (E_G(x), E_R(G(E_G(x)))); with `spectral_norm` as in ALAD.

Scores, with x̂ = G(E_G(x)); `config.score.name` takes the finished thesis' name too:

    image      A_R    ‖x − x̂‖₂
    energy     A_RD   ‖AE(x) − AE(x̂)‖₂
    image_c    A_IC   λ·A_R + (1 − λ)·A_RD
    final_1    A_L    ‖E_G(x) − E_R(x̂)‖₂, the system's score; `final_1_l1` in L1, as its code has it
    final_2    A_LD   ‖E_G(x) − Enc(x̂)‖₂
    final_3    A_LDz  ‖Enc(x) − Enc(x̂)‖₂
    latent_c   A_LC   λ·A_L + (1 − λ)·A_LDz
    comb_im           A_R + 0.25·A_L
    comb_z            0.55·A_LD + 0.45·A_LDz
    final_4           ‖f_xx(x, x) − f_xx(x, x̂)‖₁, with D_xx
    final_6           ‖f_zz(z, z) − f_zz(z, E_R(x̂))‖₁ with z = E_G(x), with D_zz

The thesis squares its norms, which ranks alike, and prints no λ: 0.75 is what its code has.
"""

import jax

from semad import losses
from semad.config.schema import Settings
from semad.losses.adversarial import CROSS_ENTROPY, GanLoss
from semad.methods import ebgan, encebgan
from semad.methods.common import (
    LossAndTerms,
    adam,
    encode,
    for_nets,
    generate,
    image_shape,
    layer_settings,
    rebuild,
)
from semad.nets.alad import DiscriminatorXX, DiscriminatorZZ
from semad.nets.thesis import DiscriminatorOutput
from semad.types import Batch, Hparams, Loss, Method, MethodOutput, Net, Nets, Phase, Score, Update

_LAMBDA = 0.75
_ALIASES = {
    "A_R": "image",
    "A_RD": "energy",
    "A_IC": "image_c",
    "A_L": "final_1",
    "A_LD": "final_2",
    "A_LDz": "final_3",
    "A_LC": "latent_c",
}


def _discriminate_xx(
    nets: Nets, batch: Batch, gan: GanLoss
) -> tuple[DiscriminatorOutput, DiscriminatorOutput]:
    x = gan.add_input_noise(batch.images, "real")
    rebuilt = gan.add_input_noise(rebuild(nets, batch.images), "rebuilt")
    again = gan.add_input_noise(batch.images, "again")
    real = nets.discriminator_xx(x, again, key=gan.dropout_key("real"))
    return real, nets.discriminator_xx(x, rebuilt, key=gan.dropout_key("rebuilt"))


def _discriminate_zz(
    nets: Nets, batch: Batch, gan: GanLoss
) -> tuple[DiscriminatorOutput, DiscriminatorOutput]:
    latent = nets.encoder(batch.images)
    again = nets.return_encoder(nets.generator(latent))
    real = nets.discriminator_zz(latent, latent, key=gan.dropout_key("real"))
    return real, nets.discriminator_zz(latent, again, key=gan.dropout_key("rebuilt"))


_PAIRS = {"xx": _discriminate_xx, "zz": _discriminate_zz}


def make_discriminator_loss(pair: str) -> Loss:
    """Cross-entropy of D_xx or D_zz."""

    def loss(nets: Nets, batch: Batch, key: jax.Array, hparams: Hparams) -> LossAndTerms:
        gan = GanLoss(key, batch.progress, hparams)
        real, generated = _PAIRS[pair](nets, batch, gan)
        return gan.discriminator_loss(CROSS_ENTROPY, real.logits, generated.logits)

    return loss


def with_pairs(loss: Loss, pair: str) -> Loss:
    """An encoder's loss, plus the GAN loss of D_xx or D_zz."""

    def total(nets: Nets, batch: Batch, key: jax.Array, hparams: Hparams) -> LossAndTerms:
        encoder_loss, terms = loss(nets, batch, key, hparams)
        gan = GanLoss(key, batch.progress, hparams)
        told = gan.generator_loss(CROSS_ENTROPY, _PAIRS[pair](nets, batch, gan)[1].logits)
        return encoder_loss + told, terms | {f"adversarial_{pair}": told}

    return total


def return_loss(nets: Nets, batch: Batch, key: jax.Array, hparams: Hparams) -> LossAndTerms:
    """‖E_R(G(E_G(x))) − E_G(x)‖₂."""
    del key, hparams
    latent = nets.encoder(batch.images)
    again = nets.return_encoder(nets.generator(latent))
    return losses.norm(again, latent).mean(), {}


def make_score(xx: bool = False, zz: bool = False) -> Score:
    """The scores of section 4.4, and D(x); `xx` and `zz` say which discriminators joined."""

    def score(nets: Nets, images: jax.Array, key: jax.Array, hparams: Hparams) -> MethodOutput:
        first, rebuilt, _ = encebgan.score(nets, images, key, hparams)
        latent = nets.encoder(images)
        again = nets.return_encoder(rebuilt)
        scores = {
            "image": first["image"],
            "energy": first["energy"],
            "final_1": losses.norm(latent, again),
            "final_1_l1": losses.norm(latent, again, 1),
            "final_2": first["latent"],
            "final_3": first["embedding"],
            "discriminator": first["discriminator"],
        }
        scores["comb_im"] = scores["image"] + 0.25 * scores["final_1"]
        scores["comb_z"] = 0.55 * scores["final_2"] + 0.45 * scores["final_3"]
        scores["image_c"] = _mixed(scores["image"], scores["energy"])
        scores["latent_c"] = _mixed(scores["final_1"], scores["final_3"])
        if xx:
            same, other = (nets.discriminator_xx(images, y) for y in (images, rebuilt))
            scores["final_4"] = losses.sum_absolute(same.features, other.features)
        if zz:
            same, other = (nets.discriminator_zz(latent, z) for z in (latent, again))
            scores["final_6"] = losses.sum_absolute(same.features, other.features)
        return MethodOutput(scores, rebuilt)

    return score


def _mixed(first: jax.Array, second: jax.Array) -> jax.Array:
    return _LAMBDA * first + (1 - _LAMBDA) * second


def encoder_phase(
    settings: Settings, name: str, encoder: str, epochs: int, loss: Loss, pair: str
) -> Phase:
    """A phase that trains an encoder, with a discriminator of pairs if the config has it."""
    discriminator, key = f"discriminator_{pair}", f"train.{name}_epochs"
    if not getattr(settings.model, f"allow_{pair}"):
        update = Update(encoder, (encoder,), loss, adam(settings.optim))
        return Phase(name, epochs, (update,), key)
    updates = (
        Update(
            discriminator, (discriminator,), make_discriminator_loss(pair), adam(settings.optim)
        ),
        Update(encoder, (encoder,), with_pairs(loss, pair), adam(settings.optim)),
    )
    return Phase(name, epochs, updates, key)


def build(settings: Settings) -> Method:
    """The method for a config of `configs/sencebgan.py`."""
    model, train, layers = settings.model, settings.train, layer_settings(settings.model)
    image, latent = image_shape(settings.data), (model.latent_dim,)
    encoder = encebgan.make_encoder(settings)
    nets = ebgan.gan_nets(settings) | {"encoder": encoder, "return_encoder": encoder}
    if model.allow_xx:
        nets["discriminator_xx"] = Net(DiscriminatorXX(layers, model.spectral_norm), (image, image))
    if model.allow_zz:
        pairs = DiscriminatorZZ(layers, model.spectral_norm)
        nets["discriminator_zz"] = Net(pairs, (latent, latent))
    rates = ebgan.hparams(settings) | {"w_consistency": settings.loss.consistency}
    first = encebgan.make_encoder_loss(
        settings.loss.encoder_objective, settings.loss.reconstruction
    )
    return Method(
        name="sencebgan",
        nets=nets,
        latent_dim=model.latent_dim,
        phases=(
            Phase("gan", train.epochs, ebgan.updates(settings)),
            encoder_phase(settings, "encoder", "encoder", train.encoder_epochs, first, "xx"),
            encoder_phase(
                settings, "return", "return_encoder", train.return_epochs, return_loss, "zz"
            ),
        ),
        hparams=for_nets(rates, nets),
        score=make_score(model.allow_xx, model.allow_zz),
        default_score="final_1",
        sample=generate,
        encode=encode,
        reconstruct=rebuild,
        aliases=_ALIASES,
    )
