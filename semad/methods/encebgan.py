"""ENCEBGAN (thesis section 4.3, figure 44): EBGAN, then an encoder for its generator.

Phase `gan` is EBGAN's game. Phase `encoder` trains E alone, with G and D frozen:

    L_E = ‖x − G(E(x))‖₂ + 0.4·‖Enc(x) − Enc(G(E(x)))‖₂

with Enc the encoder inside the discriminator. Scores, with x̂ = G(E(x)): `image` ‖x − x̂‖₂, `energy`
‖AE(x̂) − AE(x)‖₂, `latent` ‖E(x) − Enc(x̂)‖₂, `embedding` ‖Enc(x) − Enc(x̂)‖₂, and `combination`, 0.55
of the latent plus 0.45 of the embedding one.
"""

from collections.abc import Callable
from functools import partial

import jax
import ml_collections

from semad import losses
from semad.methods import ebgan
from semad.methods.common import Lossed, adam, image_shape, style
from semad.nets.thesis import Encoder, Tower
from semad.types import Batch, Hparams, Method, Net, Nets, Phase, Scored, Update

# The reconstruction term of L_E: the thesis' norm, or a mean that `loss.reconstruction` names.
DISTANCES: dict[str, Callable[[jax.Array, jax.Array], jax.Array]] = losses.RESIDUALS | {
    "l2": losses.norm
}


def encoder_loss(
    nets: Nets,
    batch: Batch,
    key: jax.Array,
    hparams: Hparams,
    *,
    distance: Callable[[jax.Array, jax.Array], jax.Array],
) -> Lossed:
    """L_E."""
    del key
    rebuilt = nets.generator(nets.encoder(batch.images))
    wanted, seen = nets.discriminator(batch.images).code, nets.discriminator(rebuilt).code
    terms = {
        "reconstruction": distance(batch.images, rebuilt).mean(),
        "embedding": losses.norm(wanted, seen).mean(),
    }
    return terms["reconstruction"] + hparams["w_embedding"] * terms["embedding"], terms


def score(nets: Nets, images: jax.Array, key: jax.Array, hparams: Hparams) -> Scored:
    """The five scores of section 4.3, and D(x)."""
    del key
    latent = nets.encoder(images)
    rebuilt = nets.generator(latent)
    seen, again = nets.discriminator(images), nets.discriminator(rebuilt)
    scores = {
        "image": losses.norm(images, rebuilt),
        "energy": losses.norm(again.reconstruction, seen.reconstruction),
        "latent": losses.norm(latent, again.code),
        "embedding": losses.norm(seen.code, again.code),
        "discriminator": ebgan.unreal_energy(images, seen, hparams),
    }
    scores["combination"] = 0.55 * scores["latent"] + 0.45 * scores["embedding"]
    return Scored(scores, rebuilt)


def make_encoder(config: ml_collections.ConfigDict) -> Net:
    """Convolutions 5×5 of stride 2 with 64, 128, 256 channels and a dense layer."""
    data = config.data
    encoder = Encoder(data.patch_size, config.model.latent_dim, style(config), Tower(size=5))
    return Net(encoder, (image_shape(config),))


def build(config: ml_collections.ConfigDict) -> Method:
    """The method for a config of `configs/encebgan.py`."""
    loss = partial(encoder_loss, distance=DISTANCES[config.loss.reconstruction])
    encoder = Update("encoder", ("encoder",), loss, adam(config))
    return Method(
        name="encebgan",
        nets=ebgan.game_nets(config) | {"encoder": make_encoder(config)},
        latent_dim=config.model.latent_dim,
        phases=(
            Phase("gan", config.train.epochs, ebgan.game_updates(config)),
            Phase("encoder", config.train.encoder_epochs, (encoder,)),
        ),
        hparams=ebgan.hparams(config) | {"w_embedding": config.loss.embedding},
        score=score,
        default_score="combination",
        sample=lambda nets, z: nets.generator(z),
        reconstruct=lambda nets, images: nets.generator(nets.encoder(images)),
    )
