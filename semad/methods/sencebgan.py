"""SENCEBGAN (thesis section 4.4, figures 43 and 45): ENCEBGAN and a second encoder, in sequence.

Phase `gan`: EBGAN's game with 0.1·‖Enc(x) − Enc(G(z))‖₂ (visual similarity) in G's loss, and three
generator updates to one of the discriminator. Phase `encoder`: E_g, by ENCEBGAN's loss. Phase
`return`: E_r alone, back from the reconstruction, by ‖E_r(G(E_g(x))) − E_g(x)‖₂.

Two of ALAD's discriminators can join, each in a game with the encoder of its phase: `allow_xx` in
phase `encoder`, (x, x) against (x, G(E_g(x))); `allow_zz` in phase `return`, (E_g(x), E_g(x))
against (E_g(x), E_r(G(E_g(x)))); with `spectral_norm` as in ALAD.

Scores, with x̂ = G(E_g(x)): `image` ‖x − x̂‖₂, `energy` ‖AE(x̂) − AE(x)‖₂, `final_1` ‖E_g(x) −
E_r(x̂)‖₂, `final_2` ‖E_g(x) − Enc(x̂)‖₂, `final_3` ‖Enc(x) − Enc(x̂)‖₂, `comb_im` image plus a
quarter of final_1, `comb_z` 0.55 of final_2 plus 0.45 of final_3.
"""

from functools import partial

import jax
import ml_collections

from semad import losses
from semad.adversarial import CROSS_ENTROPY, Game
from semad.methods import ebgan, encebgan
from semad.methods.common import Lossed, adam, for_nets, image_shape, style
from semad.nets.alad import DiscriminatorXX, DiscriminatorZZ
from semad.nets.thesis import Judgement
from semad.types import Batch, Hparams, Loss, Method, Net, Nets, Phase, Scored, Update

_DROPOUT = 100  # first stream of the dropout masks, behind those of the images shown


def _play_xx(nets: Nets, batch: Batch, game: Game) -> tuple[Judgement, Judgement]:
    x = game.show(batch.images, 0)
    rebuilt = game.show(nets.generator(nets.encoder(batch.images)), 2)
    keys = [jax.random.fold_in(game.key, _DROPOUT + number) for number in range(2)]
    real = nets.discriminator_xx(x, game.show(batch.images, 1), key=keys[0])
    return real, nets.discriminator_xx(x, rebuilt, key=keys[1])


def _play_zz(nets: Nets, batch: Batch, game: Game) -> tuple[Judgement, Judgement]:
    latent = nets.encoder(batch.images)
    again = nets.return_encoder(nets.generator(latent))
    keys = [jax.random.fold_in(game.key, _DROPOUT + number) for number in range(2)]
    real = nets.discriminator_zz(latent, latent, key=keys[0])
    return real, nets.discriminator_zz(latent, again, key=keys[1])


_PLAYS = {"xx": _play_xx, "zz": _play_zz}


def make_discriminator_loss(pair: str) -> Loss:
    """Cross-entropy of D_xx or D_zz."""

    def loss(nets: Nets, batch: Batch, key: jax.Array, hparams: Hparams) -> Lossed:
        game = Game(key, batch.epoch, hparams)
        real, generated = _PLAYS[pair](nets, batch, game)
        return game.discriminate(CROSS_ENTROPY, real.logits, generated.logits)

    return loss


def with_game(loss: Loss, pair: str) -> Loss:
    """An encoder's loss, plus what it costs to be told apart by D_xx or D_zz."""

    def total(nets: Nets, batch: Batch, key: jax.Array, hparams: Hparams) -> Lossed:
        own, terms = loss(nets, batch, key, hparams)
        game = Game(key, batch.epoch, hparams)
        told = game.persuade(CROSS_ENTROPY, _PLAYS[pair](nets, batch, game)[1].logits)
        return own + told, terms | {f"adversarial_{pair}": told}

    return total


def return_loss(nets: Nets, batch: Batch, key: jax.Array, hparams: Hparams) -> Lossed:
    """‖E_r(G(E_g(x))) − E_g(x)‖₂."""
    del key, hparams
    latent = nets.encoder(batch.images)
    again = nets.return_encoder(nets.generator(latent))
    return losses.norm(again, latent).mean(), {}


def score(nets: Nets, images: jax.Array, key: jax.Array, hparams: Hparams) -> Scored:
    """The seven scores of section 4.4, and D(x)."""
    first, rebuilt, _ = encebgan.score(nets, images, key, hparams)
    latent = nets.encoder(images)
    scores = {
        "image": first["image"],
        "energy": first["energy"],
        "final_1": losses.norm(latent, nets.return_encoder(rebuilt)),
        "final_2": first["latent"],
        "final_3": first["embedding"],
        "discriminator": first["discriminator"],
    }
    scores["comb_im"] = scores["image"] + 0.25 * scores["final_1"]
    scores["comb_z"] = 0.55 * scores["final_2"] + 0.45 * scores["final_3"]
    return Scored(scores, rebuilt)


def encoder_phase(
    config: ml_collections.ConfigDict, name: str, encoder: str, epochs: int, loss: Loss, pair: str
) -> Phase:
    """A phase that trains one encoder, with a discriminator of pairs if the config has it."""
    judge = f"discriminator_{pair}"
    if not config.model[f"allow_{pair}"]:
        return Phase(name, epochs, (Update(encoder, (encoder,), loss, adam(config)),))
    return Phase(
        name,
        epochs,
        (
            Update(judge, (judge,), make_discriminator_loss(pair), adam(config)),
            Update(encoder, (encoder,), with_game(loss, pair), adam(config)),
        ),
    )


def build(config: ml_collections.ConfigDict) -> Method:
    """The method for a config of `configs/sencebgan.py`."""
    model, train, look = config.model, config.train, style(config)
    image, latent = image_shape(config), (model.latent_dim,)
    encoder = encebgan.make_encoder(config)
    nets = ebgan.game_nets(config) | {"encoder": encoder, "return_encoder": encoder}
    if model.allow_xx:
        nets["discriminator_xx"] = Net(DiscriminatorXX(look, model.spectral_norm), (image, image))
    if model.allow_zz:
        judge = DiscriminatorZZ(look, model.spectral_norm)
        nets["discriminator_zz"] = Net(judge, (latent, latent))
    rates = ebgan.hparams(config) | {"w_embedding": config.loss.embedding}
    first = partial(encebgan.encoder_loss, distance=encebgan.DISTANCES[config.loss.reconstruction])
    return Method(
        name="sencebgan",
        nets=nets,
        latent_dim=model.latent_dim,
        phases=(
            Phase("gan", train.epochs, ebgan.game_updates(config)),
            encoder_phase(config, "encoder", "encoder", train.encoder_epochs, first, "xx"),
            encoder_phase(
                config, "return", "return_encoder", train.return_epochs, return_loss, "zz"
            ),
        ),
        hparams=for_nets(rates, nets),
        score=score,
        default_score="comb_z",
        sample=lambda nets, z: nets.generator(z),
        reconstruct=lambda nets, images: nets.generator(nets.encoder(images)),
    )
