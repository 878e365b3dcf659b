"""The dense discriminator: trained to find, cell by cell, what was spliced into real crops.

Its logits are the score, or a part of it. What is spliced in (`semad.synthetic.splices`) is chosen
in `config.splices`: each source has a rate, and 0 leaves it out. With `generated`, a generator
plays against the discriminator, as in CutMix with a discriminator that has a logit for each place
(Schönfeld et al. 2020): D learns to find G's samples inside real crops, G to be overlooked there,
so that D sees samples of every age. Without it no generator exists: the control.

A phase `teaching` (`--mode teach`) goes on with patches in which a person outlined missed defects
and false alarms. They are seen as they are, and the defects also in normal patches.

A last phase, `density`, if `config.train.density_epochs` asks for it, learns how D's features of
normal patches are distributed. The score `fused` adds how rare they are to D's probabilities.
"""

from functools import partial

import jax
import jax.numpy as jnp

from semad import losses
from semad.config.schema import DataSettings, Settings
from semad.data.normalisation import resolve_normalisation
from semad.errors import UserError
from semad.methods.common import (
    LossAndTerms,
    adam,
    for_nets,
    image_shape,
    layer_settings,
    learning_rates,
)
from semad.methods.spliced_batches import (
    SOURCES,
    Recipe,
    Splice,
    fill,
    shares,
    splice_batch,
)
from semad.nets.dense import (
    CELL_PIXELS,
    FEATURES,
    DenseDiscriminator,
    Inpainter,
    to_cells,
    to_pixels,
)
from semad.nets.efficientnet import EfficientNetLite0, feature_shapes
from semad.nets.mixture import FeatureDensity
from semad.nets.pretrained import read_weights
from semad.nets.thesis import DiscriminatorOutput
from semad.synthetic import splices
from semad.types import Batch, Hparams, Loss, Method, MethodOutput, Net, Nets, Phase, Update
from semad.utils.paths import expanded
from semad.utils.rng import Stream, stream

_SHARE_TAUGHT = 8
"""Of a batch while teaching, one image in so many is added twice over: as it is, and spliced."""

_KEPT = 0.5
"""Share of the averaged weights that is from before teaching (Wortsman et al. 2022). Like the two
values below it was chosen by test labels of magnetic tiles and nanofibres, two images outlined."""

_UNSURE = 0.1
"""By how much targets of annotated patches are nearer to the middle (label smoothing), so that no
outline that is learnt by heart stands above all else."""

_TAUGHT = 0.1
"""Weight of the annotated patches, beside 1 of the synthetic anomalies."""


def discriminate(nets: Nets, images: jax.Array) -> DiscriminatorOutput:
    """D's logits (N, H/4, W/4) and features, by those of a backbone too if there is one."""
    beside = nets.backbone(images) if "backbone" in nets else ()
    return nets.discriminator(images, *beside)


def discriminator_loss(splice: Splice) -> Loss:
    """D finds what is spliced in."""

    def loss(nets: Nets, batch: Batch, key: jax.Array, hparams: Hparams) -> LossAndTerms:
        """Cross-entropy of every cell with how much of it is foreign."""
        del hparams
        seen, masks = splice(nets, batch, key)
        target, logits = to_cells(masks), discriminate(nets, seen).logits
        accuracy = ((logits > 0) == (target > 0.5)).mean()
        return losses.cross_entropy(logits, target).mean(), {"right": accuracy}

    return loss


def generator_loss(part: slice) -> Loss:
    """G fills in; `part` is the part of a batch that it is given."""

    def loss(nets: Nets, batch: Batch, key: jax.Array, hparams: Hparams) -> LossAndTerms:
        """D should overlook what G fills in, and it should be near what was there."""
        images = batch.images[part]
        # Both updates of a step are given one key: G is asked about other masks than D.
        key = stream(key, "generator")
        masks = splices.draw_masks(stream(key, Stream.MASKS), *images.shape[:2])
        generated = fill(nets, stream(key, Stream.SOURCES), images, masks)
        logits = discriminate(nets, splices.splice(images, generated, masks)).logits
        apart = jnp.abs(generated - images).mean(axis=-1)
        terms = {
            "adversarial": _mean(losses.cross_entropy(logits, 0.0), to_cells(masks)),
            "contextual": _mean(apart, masks),
        }
        return terms["adversarial"] + hparams["w_contextual"] * terms["contextual"], terms

    return loss


def teaching_loss(splice: Splice) -> Loss:
    """D finds what is spliced in, and what a person outlined."""

    def loss(nets: Nets, batch: Batch, key: jax.Array, hparams: Hparams) -> LossAndTerms:
        """D's, and the cross-entropies of annotated patches: where an outline says what is there,
        and of normal patches with their defects spliced in."""
        del hparams
        taught = batch.annotated
        assert taught is not None  # the phase asks for them
        count = len(taught.images)
        seen, masks = splice(nets, batch, key)
        keys = jax.random.split(stream(key, Stream.ANNOTATED), 3)
        moved, places = splices.moved(keys[2], taught.images, taught.defects)
        changed = splices.varied(keys[:2], moved)
        planted = splices.splice(batch.images[-count:], changed, places)
        known = to_cells(jnp.maximum(taught.defects, taught.normal))
        foreign = to_cells(taught.defects) / jnp.maximum(known, 1e-6)
        # One call: all of them are normalised as one batch.
        logits = discriminate(nets, jnp.concatenate([seen, taught.images, planted])).logits
        ends = (len(seen), len(seen) + count)
        of_spliced, of_taught, of_planted = jnp.split(logits, ends)
        terms = {
            "spliced": losses.cross_entropy(of_spliced, to_cells(masks)).mean(),
            "annotated": _mean(losses.cross_entropy(of_taught, _smoothed(foreign)), known),
            "planted": losses.cross_entropy(of_planted, _smoothed(to_cells(places))).mean(),
        }
        taught_terms = terms["annotated"] + terms["planted"]
        return terms["spliced"] + _TAUGHT * taught_terms, terms

    return loss


def density_loss(nets: Nets, batch: Batch, key: jax.Array, hparams: Hparams) -> LossAndTerms:
    """Minus the mean log density of D's features of normal patches; D stays as it is."""
    del key, hparams
    output = discriminate(nets, batch.images)
    density = nets.density(output.features, jax.nn.sigmoid(output.logits))
    return -density.log_density.mean(), {}


def _smoothed(targets: jax.Array) -> jax.Array:
    """Targets in [0, 1] that no logit without an end can meet."""
    return targets + _UNSURE * (0.5 - targets)


def _mean(values: jax.Array, weights: jax.Array) -> jax.Array:
    return (values * weights).sum() / jnp.maximum(weights.sum(), 1.0)


def score(nets: Nets, images: jax.Array, key: jax.Array, hparams: Hparams) -> MethodOutput:
    """D's logits at every pixel, and as probabilities; a patch has its highest 3×3 cells' mean.

    With a density also `density`, minus its logarithm, and `fused`, of probabilities and density.
    """
    del key, hparams
    output = discriminate(nets, images)
    cells = {"discriminator": output.logits, "probability": jax.nn.sigmoid(output.logits)}
    if "density" in nets:
        density = nets.density(output.features, cells["probability"])
        cells |= {"density": -density.log_density, "fused": density.fused}
    scores, maps = {}, {}
    for name, values in cells.items():
        means = jax.lax.reduce_window(values, 0.0, jax.lax.add, (1, 3, 3), (1, 1, 1), "VALID")
        scores[name] = means.max(axis=(1, 2)) / 9
        maps[name] = to_pixels(values)
    return MethodOutput(scores, None, maps)


def build(settings: Settings) -> Method:
    """The method for a config of `configs/dense_discriminator.py`."""
    image, plane = image_shape(settings.data), image_shape(settings.data)[:2]
    rates = {name: float(getattr(settings.splices, name)) for name in SOURCES}
    parts = shares(rates, settings.train.batch_size)
    recipe = Recipe(parts, settings.splices.varied, settings.splices.cracks)
    splice = partial(splice_batch, recipe)
    layers = layer_settings(settings.model)
    backbone = expanded("config.model.backbone", settings.model.backbone)
    features = feature_shapes(plane) if backbone else []
    nets = {"discriminator": Net(DenseDiscriminator(layers), (image, *features))}
    if backbone:
        _check_backbone(settings.data)
        nets["backbone"] = Net(EfficientNetLite0(layers), (image,), partial(read_weights, backbone))
    updates: tuple[Update, ...] = (
        Update(
            "discriminator", ("discriminator",), discriminator_loss(splice), adam(settings.optim)
        ),
    )
    if "generated" in parts:
        nets["generator"] = Net(Inpainter(settings.data.channels, layers), (image, plane, plane))
        loss = generator_loss(parts["generated"])
        updates += (Update("generator", ("generator",), loss, adam(settings.optim)),)
    has_density = settings.train.density_epochs > 0
    if has_density:
        cells = (plane[0] // CELL_PIXELS, plane[1] // CELL_PIXELS)
        described = (*cells, layers.features(FEATURES))
        density = FeatureDensity(settings.model.components, settings.model.bn_momentum)
        nets["density"] = Net(density, (described, cells))
    excluded_families = {"cutpaste": "cutpaste", "texture": "texture", "sheet": "film"}
    return Method(
        name="dense_discriminator",
        nets=nets,
        latent_dim=1,  # nothing is drawn from a latent
        phases=(
            Phase("splices", settings.train.epochs, updates),
            *_teaching(settings, splice),
            *_density(settings),
        ),
        hparams=for_nets(learning_rates(settings.lr), nets)
        | {"w_contextual": settings.loss.contextual},
        score=score,
        default_score="fused" if has_density else "discriminator",
        convolutional=True,
        halves_batch_on_cpu=True,
        excluded_families=tuple(
            family for name, family in excluded_families.items() if rates[name]
        ),
        # Planted defects do not see what a density is for (docs/results/maps.md).
        candidates=("fused",) if has_density else (),
    )


def _check_backbone(data: DataSettings) -> None:
    """Raises a UserError unless a backbone would see images as those that it was trained on."""
    if resolve_normalisation(data) != "range":
        raise UserError(
            "config.model.backbone needs grey values in a fixed range; set "
            "--config.data.normalisation=range"
        )


def _teaching(settings: Settings, splice: Splice) -> tuple[Phase, ...]:
    """The phase that `--mode teach` adds; none in a run that was not taught."""
    train = settings.train
    if not train.teaching_epochs:
        return ()
    update = Update("teaching", ("discriminator",), teaching_loss(splice), adam(settings.optim))
    count = max(1, train.batch_size // _SHARE_TAUGHT)
    key = "train.teaching_epochs"
    return (Phase("teaching", train.teaching_epochs, (update,), key, count, _KEPT),)


def _density(settings: Settings) -> tuple[Phase, ...]:
    """The last phase: D is what it stays. None without epochs."""
    epochs = settings.train.density_epochs
    if not epochs:
        return ()
    update = Update("density", ("density",), density_loss, adam(settings.optim))
    return (Phase("density", epochs, (update,), "train.density_epochs"),)
