"""GANomaly (thesis section 2.3.4; Akçay et al. 2018), as the finished thesis ran it.

x → E → z → decoder → x̂ → E2 → ẑ. The generator (E, decoder, E2) minimises

    w_adv·CE(D(x̂), real) + w_con·Σ|x − x̂| + w_enc·‖z − ẑ‖₂        (means over the batch; 1, 50, 1)

and the discriminator tells x from x̂ by cross-entropy. The paper has other terms, each a value of
`config.loss`: `adversarial_term = "features"` is its ‖f(x) − f(x̂)‖² (equation 2.91, here the mean
square, as in its code), `reduction = "mean"` its means over pixels and over z (2.92 and 2.93).
Score: the mean of |z − ẑ| (equation 2.95), or of its square, which public code uses. Denoising
variant (section 5.5): noise on the generator's input, the target stays clean.

The training tricks as the thesis has them here: input noise is on the generator's input, its σ
never below 1; soft labels are not flipped.

What public code does and we do not: batch norm in training mode at test time, scores rescaled
over the test set, the best epoch by test AUROC, feature matching inside D's own loss.
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
    gan_hparams,
    image_shape,
    layer_settings,
    logit_score,
    reconstruction_gan_loss,
    reduced,
    weighted_sum,
)
from semad.nets.autoencoders import Decoder, GanomalyDiscriminator
from semad.nets.thesis import ConvStackSettings, Encoder
from semad.types import Batch, Hparams, Loss, Method, MethodOutput, Net, Nets, Phase, Update
from semad.utils.rng import Stream, stream

ADVERSARIAL_TERMS = ("cross_entropy", "features")


def _generate(nets: Nets, batch: Batch, gan: GanLoss) -> tuple[jax.Array, jax.Array]:
    """z and x̂ of a training batch."""
    key = stream(gan.key, Stream.DENOISING)
    noise = gan.hparams["noise"] * jax.random.normal(key, batch.images.shape)
    code = nets.encoder(gan.add_input_noise(batch.images, "input") + noise)
    return code, nets.decoder(code)


def discriminator_loss(nets: Nets, batch: Batch, key: jax.Array, hparams: Hparams) -> LossAndTerms:
    """x is real, x̂ is not."""
    gan = reconstruction_gan_loss(batch, key, hparams)
    _, rebuilt = _generate(nets, batch, gan)
    on_real = nets.discriminator(batch.images).logits
    on_generated = nets.discriminator(rebuilt).logits
    return gan.discriminator_loss(CROSS_ENTROPY, on_real, on_generated)


def make_generator_loss(
    adversarial_term: str = "cross_entropy", reduction: str = "sum", reconstruction: str = "l1"
) -> Loss:
    """The generator's loss.

    Args:
      adversarial_term: one of `ADVERSARIAL_TERMS`.
      reduction: one of `semad.methods.common.REDUCTIONS`, of the contextual and the latent term.
      reconstruction: key of `losses.RESIDUALS`, the contextual term's distance.
    """
    contextual, latent = reduced(reduction, reconstruction)

    def loss(nets: Nets, batch: Batch, key: jax.Array, hparams: Hparams) -> LossAndTerms:
        gan = reconstruction_gan_loss(batch, key, hparams)
        code, rebuilt = _generate(nets, batch, gan)
        output = nets.discriminator(rebuilt)
        if adversarial_term == "features":
            wanted = nets.discriminator(batch.images).features
            adversary = losses.mean_square(wanted, output.features).mean()
        else:
            adversary = gan.generator_loss(CROSS_ENTROPY, output.logits)
        terms = {
            "adversarial": adversary,
            "contextual": contextual(batch.images, rebuilt).mean(),
            "encoder": latent(code, nets.encoder2(rebuilt)).mean(),
        }
        return weighted_sum(hparams, terms), terms | {
            "spread": adversarial.spread(rebuilt, batch.images)
        }

    return loss


def score(nets: Nets, images: jax.Array, key: jax.Array, hparams: Hparams) -> MethodOutput:
    """Equation 2.95 as a mean, its square, and −D(x)."""
    del key
    code = nets.encoder(images)
    rebuilt = nets.decoder(code)
    again = nets.encoder2(rebuilt)
    scores = {
        "latent_l1": losses.mean_absolute(code, again),
        "latent_l2": losses.mean_square(code, again),
        "discriminator": logit_score(nets.discriminator(images).logits, hparams),
    }
    return MethodOutput(scores, rebuilt)


def build(settings: Settings) -> Method:
    """The method for a config of `configs/ganomaly.py`."""
    data, latent_dim, image, layers = (
        settings.data,
        settings.model.latent_dim,
        image_shape(settings.data),
        layer_settings(settings.model),
    )
    norm, loss = settings.model.spectral_norm, settings.loss
    tower = ConvStackSettings(size=5, first_norm=False, spectral=norm)
    encoder = Encoder(data.patch_size, latent_dim, layers, tower)
    generator_loss = make_generator_loss(loss.adversarial_term, loss.reduction, loss.reconstruction)
    generator = ("encoder", "decoder", "encoder2")
    updates = (
        Update("discriminator", ("discriminator",), discriminator_loss, adam(settings.optim)),
        Update("generator", generator, generator_loss, adam(settings.optim)),
    )
    return Method(
        name="ganomaly",
        nets={
            "encoder": Net(encoder, (image,)),
            "decoder": Net(Decoder(data.patch_size, data.channels, layers), ((latent_dim,),)),
            "encoder2": Net(encoder, (image,)),
            "discriminator": Net(GanomalyDiscriminator(data.patch_size, layers, norm), (image,)),
        },
        latent_dim=latent_dim,
        phases=(Phase("ganomaly", settings.train.epochs, updates),),
        hparams=gan_hparams(settings.lr)
        | {
            "noise": loss.noise,
            "w_adversarial": loss.adversarial,
            "w_contextual": loss.contextual,
            "w_encoder": loss.encoder,
        },
        score=score,
        default_score="latent_l1",
        label_symmetric=True,
        encode=encode,
        reconstruct=lambda nets, images: nets.decoder(nets.encoder(images)),
    )
