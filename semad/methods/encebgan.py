"""ENCEBGAN (thesis section 4.3, figure 44): EBGAN, then an encoder for its generator.

Phase `gan` is EBGAN. Phase `encoder` trains E alone, with G and D frozen, by one of three
losses, `config.loss.encoder_objective`; with x̂ = G(E(x)), Enc the encoder inside D and AE its
autoencoder:

    decodings   ‖x − x̂‖₂ + 0.4·‖AE(x) − AE(x̂)‖₂        the thesis' code for SENCEBGAN
    embeddings  ‖x − x̂‖₂ + 0.4·‖Enc(x) − Enc(x̂)‖₂      the draft, and the code for ENCEBGAN
    energy      D(x̂) = ‖x̂ − AE(x̂)‖₂                    the finished thesis' text

Scores, with the thesis' names: `image` ‖x − x̂‖₂ (A(x), the system's score), `energy` ‖AE(x̂) −
AE(x)‖₂, `latent` ‖E(x) − Enc(x̂)‖₂, `embedding` ‖Enc(x) − Enc(x̂)‖₂, and `combination`, 0.55 of the
latent plus 0.45 of the embedding one.
"""

from collections.abc import Callable

import jax

from semad import losses
from semad.config.schema import Settings
from semad.methods import ebgan
from semad.methods.common import (
    Distance,
    LossAndTerms,
    adam,
    encode,
    generate,
    image_shape,
    layer_settings,
    rebuild,
)
from semad.nets.autoencoders import Energy
from semad.nets.thesis import ConvStackSettings, Encoder
from semad.types import Batch, Hparams, Loss, Method, MethodOutput, Net, Nets, Phase, Update

# The reconstruction term: the thesis' norm, or a mean that `loss.reconstruction` names.
DISTANCES: dict[str, Distance] = {
    name: residual.value for name, residual in losses.RESIDUALS.items()
} | {"l2": losses.norm}

CONSISTENCIES: dict[str, Callable[[Energy], jax.Array]] = {
    "decodings": lambda seen: seen.reconstruction,
    "embeddings": lambda seen: seen.code,
}
"""What D makes of x and of x̂ and should be alike, by `loss.encoder_objective`."""

ENCODER_OBJECTIVES = (*CONSISTENCIES, "energy")


def make_encoder_loss(objective: str, reconstruction: str = "l2") -> Loss:
    """L_E for one of `ENCODER_OBJECTIVES`; `reconstruction` is a key of `DISTANCES`."""
    distance = DISTANCES[reconstruction]

    def by_energy(nets: Nets, batch: Batch, key: jax.Array, hparams: Hparams) -> LossAndTerms:
        """D(x̂), which says nothing of x."""
        del key, hparams
        rebuilt = rebuild(nets, batch.images)
        terms = {"reconstruction": distance(batch.images, rebuilt).mean()}
        return ebgan.energy(rebuilt, nets.discriminator(rebuilt)).mean(), terms

    def by_consistency(nets: Nets, batch: Batch, key: jax.Array, hparams: Hparams) -> LossAndTerms:
        """The reconstruction's distance, and how far apart D sees it."""
        del key
        rebuilt = rebuild(nets, batch.images)
        part = CONSISTENCIES[objective]
        wanted, seen = (part(nets.discriminator(images)) for images in (batch.images, rebuilt))
        terms = {
            "reconstruction": distance(batch.images, rebuilt).mean(),
            "consistency": losses.norm(wanted, seen).mean(),
        }
        return terms["reconstruction"] + hparams["w_consistency"] * terms["consistency"], terms

    return by_energy if objective == "energy" else by_consistency


def score(nets: Nets, images: jax.Array, key: jax.Array, hparams: Hparams) -> MethodOutput:
    """The scores of section 4.3 and of the thesis' code, and D(x)."""
    del key
    latent = nets.encoder(images)
    rebuilt = nets.generator(latent)
    seen, again = nets.discriminator(images), nets.discriminator(rebuilt)
    scores = {
        "image": losses.norm(images, rebuilt),
        "energy": losses.norm(again.reconstruction, seen.reconstruction),
        "latent": losses.norm(latent, again.code),
        "embedding": losses.norm(seen.code, again.code),
        "discriminator": ebgan.energy_score(images, seen, hparams),
    }
    scores["combination"] = 0.55 * scores["latent"] + 0.45 * scores["embedding"]
    return MethodOutput(scores, rebuilt)


def make_encoder(settings: Settings) -> Net:
    """Convolutions 5×5 of stride 2 with 64, 128, 256 channels, batch norm but for the first, and a
    dense layer."""
    data, tower = settings.data, ConvStackSettings(size=5, first_norm=False)
    encoder = Encoder(
        data.patch_size, settings.model.latent_dim, layer_settings(settings.model), tower
    )
    return Net(encoder, (image_shape(settings.data),))


def build(settings: Settings) -> Method:
    """The method for a config of `configs/encebgan.py`."""
    loss = make_encoder_loss(settings.loss.encoder_objective, settings.loss.reconstruction)
    encoder = Update("encoder", ("encoder",), loss, adam(settings.optim))
    return Method(
        name="encebgan",
        nets=ebgan.gan_nets(settings) | {"encoder": make_encoder(settings)},
        latent_dim=settings.model.latent_dim,
        phases=(
            Phase("gan", settings.train.epochs, ebgan.updates(settings)),
            Phase("encoder", settings.train.encoder_epochs, (encoder,), "train.encoder_epochs"),
        ),
        hparams=ebgan.hparams(settings) | {"w_consistency": settings.loss.consistency},
        score=score,
        default_score="image",
        sample=generate,
        encode=encode,
        reconstruct=rebuild,
        aliases={"A": "image"},
    )
