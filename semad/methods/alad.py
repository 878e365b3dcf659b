"""ALAD (thesis section 2.3.3, table A3; Zenati et al. 2018, "Adversarially Learned Anomaly
Detection").

BiGAN's game of pairs, D_xz, and two more that make E and G each other's inverse (equations 2.82
to 2.88): D_xx tells (x, x) from (x, G(E(x))), D_zz tells (z, z) from (z, E(G(z))). G and E are
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
import ml_collections

from semad import adversarial, losses
from semad.adversarial import CROSS_ENTROPY, Game
from semad.keys import stream
from semad.methods.common import (
    Lossed,
    adam,
    for_nets,
    game_hparams,
    generate,
    image_shape,
    rebuild,
    style,
    unreal,
)
from semad.nets.alad import AladEncoder, DiscriminatorXX, DiscriminatorXZ, DiscriminatorZZ
from semad.nets.thesis import Generator, Judgement
from semad.types import Batch, Hparams, Loss, Method, Net, Nets, Phase, Scored, Update

Pairs = dict[str, tuple[Judgement, Judgement]]


def make_losses(games: tuple[str, ...]) -> tuple[Loss, Loss]:
    """The losses of the discriminators, and of E and G, for the games played: xz, xx, zz."""

    def play(nets: Nets, batch: Batch, game: Game) -> tuple[Pairs, jax.Array]:
        """For each game the judgements of real and of generated pairs; and G(z)."""
        x, z = batch.images, batch.z
        code, generated = nets.encoder(x), nets.generator(z)
        pairs = {"xz": ((game.show(x, "real"), code), (game.show(generated, "generated"), z))}
        if "xx" in games:
            rebuilt = game.show(nets.generator(code), "rebuilt")
            shown = game.show(x, "xx")
            pairs["xx"] = ((shown, game.show(x, "again")), (shown, rebuilt))
        if "zz" in games:
            pairs["zz"] = ((z, z), (z, nets.encoder(generated)))
        judged = {}
        for name, (real, fake) in pairs.items():
            judge = getattr(nets, f"discriminator_{name}")
            judged[name] = (
                judge(*real, key=game.dropout(f"{name}/real")),
                judge(*fake, key=game.dropout(f"{name}/generated")),
            )
        return judged, generated

    def labelled(game: Game, name: str) -> Game:
        """The game as D_xz, D_xx or D_zz plays it, each with labels of its own."""
        own = game._replace(key=stream(game.key, name))
        return own if name == "xz" else own.without("SL", "LF")

    def discriminator_loss(nets: Nets, batch: Batch, key: jax.Array, hparams: Hparams) -> Lossed:
        """Every game's cross-entropy: the first pair is real, the second is not."""
        game = Game(key, batch.progress, hparams)
        terms = {}
        for name, (real, fake) in play(nets, batch, game)[0].items():
            played = labelled(game, name)
            loss, parts = played.discriminate(CROSS_ENTROPY, real.logits, fake.logits)
            terms |= {name: loss} | {f"{name}_{part}": value for part, value in parts.items()}
        return sum(terms[name] for name in games), terms

    def generator_loss(nets: Nets, batch: Batch, key: jax.Array, hparams: Hparams) -> Lossed:
        """The labels swapped."""
        game = Game(key, batch.progress, hparams)
        judged, generated = play(nets, batch, game)
        terms = {
            name: labelled(game, name).persuade(CROSS_ENTROPY, fake.logits)
            for name, (_, fake) in judged.items()
        }
        terms["xz"] += game.persuade(CROSS_ENTROPY, judged["xz"][0].logits, 0.0)
        total = sum(terms.values())
        return total, terms | {"spread": adversarial.spread(generated, batch.images)}

    return discriminator_loss, generator_loss


def score(nets: Nets, images: jax.Array, key: jax.Array, hparams: Hparams) -> Scored:
    """Equation 2.89 (`features`), the logits of 2.90, and D_xz's answer to (x, E(x))."""
    del key
    latent = nets.encoder(images)
    rebuilt = nets.generator(latent)
    same, other = nets.discriminator_xx(images, images), nets.discriminator_xx(images, rebuilt)
    scores = {
        "features": losses.sum_absolute(same.features, other.features),
        "logits": losses.cross_entropy(other.logits, 1.0),
        "discriminator": unreal(nets.discriminator_xz(images, latent).logits, hparams),
    }
    return Scored(scores, rebuilt)


def score_without_xx(nets: Nets, images: jax.Array, key: jax.Array, hparams: Hparams) -> Scored:
    """D_xz's answer; there is no D_xx to ask."""
    del key
    latent = nets.encoder(images)
    scores = {"discriminator": unreal(nets.discriminator_xz(images, latent).logits, hparams)}
    return Scored(scores, nets.generator(latent))


def build(config: ml_collections.ConfigDict) -> Method:
    """The method for a config of `configs/alad.py`."""
    data, model, look = config.data, config.model, style(config)
    norm, image, latent = model.spectral_norm, image_shape(config), (model.latent_dim,)
    judges = {
        "xz": Net(DiscriminatorXZ(data.patch_size, look, norm), (image, latent)),
        "xx": Net(DiscriminatorXX(look, norm), (image, image)),
        "zz": Net(DiscriminatorZZ(look, norm), (latent, latent)),
    }
    on = {"xz": True, "xx": model.allow_xx, "zz": model.allow_zz}
    games = tuple(name for name in judges if on[name])
    nets = {
        "generator": Net(Generator(data.patch_size, data.channels, look, last_size=4), (latent,)),
        "encoder": Net(AladEncoder(data.patch_size, model.latent_dim, look, norm), (image,)),
    } | {f"discriminator_{name}": judges[name] for name in games}
    discriminators = tuple(f"discriminator_{name}" for name in games)
    discriminator_loss, generator_loss = make_losses(games)
    updates = (
        Update("discriminator", discriminators, discriminator_loss, adam(config)),
        Update("generator", ("generator", "encoder"), generator_loss, adam(config)),
    )
    return Method(
        name="alad",
        nets=nets,
        latent_dim=model.latent_dim,
        phases=(Phase("alad", config.train.epochs, updates),),
        hparams=for_nets(game_hparams(config), nets),
        score=score if model.allow_xx else score_without_xx,
        default_score="features" if model.allow_xx else "l1",
        label_symmetric=True,
        sample=generate,
        reconstruct=rebuild,
    )
