"""GANomaly (thesis section 2.3.4, table A4; Akçay et al. 2018).

x → E → z → decoder → x̂ → E2 → ẑ. The generator (E, decoder, E2) pays for the features of x̂, its
pixels and its code (equations 2.91 to 2.94, as means; 2.91 squared and per image, as the
published code has it); the discriminator tells x from x̂ by cross-entropy. Score: the mean of
|z − ẑ| (equation 2.95), or of its square, which public code uses. Denoising variant (section
5.5): noise on the generator's input, the target stays clean.

What public code does and we do not: batch norm in training mode at test time, scores rescaled
over the test set, the best epoch by test AUROC, feature matching inside D's own loss.
"""

from collections.abc import Callable

import jax
import ml_collections

from semad import adversarial, losses
from semad.adversarial import Game
from semad.methods.common import (
    Lossed,
    adam,
    game_hparams,
    image_shape,
    residual,
    style,
    tell_apart,
    unreal,
)
from semad.nets.autoencoders import Decoder
from semad.nets.thesis import Discriminator, Encoder, Tower
from semad.types import Batch, Hparams, Loss, Method, Net, Nets, Phase, Scored, Update

_NOISE = 2  # stream of the denoising variant, behind those of the images shown


def _generate(nets: Nets, batch: Batch, game: Game) -> tuple[jax.Array, jax.Array]:
    """z and x̂ of a training batch."""
    key = jax.random.fold_in(game.key, _NOISE)
    noise = game.hparams["noise"] * jax.random.normal(key, batch.images.shape)
    code = nets.encoder(batch.images + noise)
    return code, nets.decoder(code)


def discriminator_loss(nets: Nets, batch: Batch, key: jax.Array, hparams: Hparams) -> Lossed:
    """x is real, x̂ is not."""
    game = Game(key, batch.epoch, hparams)
    _, rebuilt = _generate(nets, batch, game)
    return tell_apart(nets, batch.images, rebuilt, game)


def make_generator_loss(distance: Callable[[jax.Array, jax.Array], jax.Array]) -> Loss:
    """Equation 2.94; `distance` is that of the contextual term, 2.92."""

    def loss(nets: Nets, batch: Batch, key: jax.Array, hparams: Hparams) -> Lossed:
        game = Game(key, batch.epoch, hparams)
        code, rebuilt = _generate(nets, batch, game)
        wanted = nets.discriminator(game.show(batch.images, 0)).features
        features = nets.discriminator(game.show(rebuilt, 1)).features
        terms = {
            "adversarial": losses.mean_square(wanted, features).mean(),
            "contextual": distance(batch.images, rebuilt).mean(),
            "encoder": losses.mean_square(code, nets.encoder2(rebuilt)).mean(),
        }
        total = sum(hparams[f"w_{name}"] * value for name, value in terms.items())
        return total, terms | {"spread": adversarial.spread(rebuilt, batch.images)}

    return loss


def score(nets: Nets, images: jax.Array, key: jax.Array, hparams: Hparams) -> Scored:
    """Equation 2.95 as a mean, its square, and −D(x)."""
    del key
    code = nets.encoder(images)
    rebuilt = nets.decoder(code)
    again = nets.encoder2(rebuilt)
    scores = {
        "latent_l1": losses.mean_absolute(code, again),
        "latent_l2": losses.mean_square(code, again),
        "discriminator": unreal(nets.discriminator(images).logits, hparams),
    }
    return Scored(scores, rebuilt)


def build(config: ml_collections.ConfigDict) -> Method:
    """The method for a config of `configs/ganomaly.py`."""
    data, latent_dim, image = config.data, config.model.latent_dim, image_shape(config)
    tower = Tower(size=5, first_norm=False)
    encoder = Encoder(data.patch_size, latent_dim, style(config), tower)
    decoder = Decoder(data.patch_size, data.channels, style(config))
    generator_loss = make_generator_loss(residual(config))
    generator = ("encoder", "decoder", "encoder2")
    updates = (
        Update("generator", generator, generator_loss, adam(config)),
        Update("discriminator", ("discriminator",), discriminator_loss, adam(config)),
    )
    return Method(
        name="ganomaly",
        nets={
            "encoder": Net(encoder, (image,)),
            "decoder": Net(decoder, ((latent_dim,),)),
            "encoder2": Net(encoder, (image,)),
            "discriminator": Net(Discriminator(data.patch_size, style(config)), (image,)),
        },
        latent_dim=latent_dim,
        phases=(Phase("ganomaly", config.train.epochs, updates),),
        hparams=game_hparams(config)
        | {
            "noise": config.loss.noise,
            "w_adversarial": config.loss.adversarial,
            "w_contextual": config.loss.contextual,
            "w_encoder": config.loss.encoder,
        },
        score=score,
        default_score="latent_l1",
        reconstruct=lambda nets, images: nets.decoder(nets.encoder(images)),
    )
