"""A config made concrete: its method, its data, and how training draws from it."""

import zipfile
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from semad import config as configs
from semad import data
from semad.data import patches
from semad.data.patches import Draw, Holdout, Stack
from semad.data.source import Source
from semad.errors import UserError
from semad.files import write_bytes
from semad.keys import Stream, stream
from semad.methods import METHODS
from semad.population import check_points, hparams, seeds
from semad.scoring.batched import Scoring, make_scorer
from semad.training.checkpoints import Checkpoints
from semad.training.state import init_population, member, overlay
from semad.types import Method, TrainState, Weights

HOLDOUT_FILE = "holdout.npz"
HOLDOUT_PIXELS = 2**25
"""Of many held-out images as many are used, evenly spread, as this allows."""
NO_BEST = (
    "no best checkpoint; it takes validation while training: config.train.validate_every above 0, "
    "and a system that reconstructs without a search, or --config.train.validation=synthetic or "
    "planted_tiles; "
    "or set --config.eval.checkpoint=newest"
)


class Experiment(NamedTuple):
    """What training and evaluation share.

    Attributes:
      config: as validated.
      method: built from it.
      source: images, each at least one patch in size.
      train: normal images to train on, on the device.
      holdout: normal images, or parts of them, for thresholds and validation.
      draw: how training patches are drawn.
    """

    config: ml_collections.ConfigDict
    method: Method
    source: Source
    train: Stack
    holdout: Holdout
    draw: Draw


def build(config: ml_collections.ConfigDict) -> Method:
    """The method of a config.

    Raises:
      UserError: for a bad value, or one that does not suit the method.
    """
    configs.validate(config)
    method = METHODS[config.method](config)._replace(
        normalisation=data.normalisation_of(config.data), flips=config.score.flips
    )
    check_score_name(config, method)
    hparams(config, method)
    check_points(config, method)
    return method


def prepare(config: ml_collections.ConfigDict, source: Source | None = None) -> Experiment:
    """Builds the method, and reads the data unless they are given.

    Raises:
      UserError: for a bad value, bad data, or data that does not suit the config.
    """
    method = build(config)
    source = patches.fit(source or data.load(config.data), config.data.patch_size)
    train, whole = patches.split_holdout(source, config.data.holdout, config.data.patch_size)
    holdout = whole._replace(images=_thin(whole.images))
    flips = config.data.flips
    draw = Draw(
        patch_size=config.data.patch_size,
        crops_per_image=_crops_per_image(config.data, len(train)) if source.micrographs else 1,
        batch_size=config.train.batch_size,
        flips=not source.oriented if flips is None else flips,
    )
    if config.score.flips and not draw.flips:
        raise UserError(
            f"config.score.flips is on, and {source.name} is trained on without mirror images "
            "(config.data.flips); set --config.score.flips=False"
        )
    return Experiment(config, method, source, patches.stack(train), holdout, draw)


def _thin(images: list[np.ndarray]) -> list[np.ndarray]:
    keep = max(1, min(len(images), HOLDOUT_PIXELS // max(image.size for image in images)))
    return [images[number] for number in np.linspace(0, len(images) - 1, keep, dtype=int)]


def _crops_per_image(data: ml_collections.ConfigDict, images: int) -> int:
    return -(-data.crops // images) if data.crops else data.crops_per_image


def check_score_name(config: ml_collections.ConfigDict, method: Method) -> None:
    """Checks `config.score.name` before hours of training, by tracing the score.

    Raises:
      UserError: for a score that the method does not have.
    """
    name = score_name(config, method)
    size, channels = config.data.patch_size, config.data.channels
    like = jax.eval_shape(lambda: init_population(method, [0]))
    one = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), like.ema)
    patch = jax.ShapeDtypeStruct((1, size, size, channels), jnp.uint8)
    key = jax.eval_shape(lambda: jax.random.key(0))
    scalars = {name: jax.ShapeDtypeStruct((), jnp.float32) for name in method.hparams}
    names = jax.eval_shape(make_scorer(method), Scoring(one, scalars, key), patch).scores
    if name not in names:
        raise UserError(
            f"config.score.name is {name!r}; {method.name} has: {', '.join(sorted(names))}"
        )


def check_stride(config: ml_collections.ConfigDict) -> None:
    """Checks that a map would have no gaps.

    Raises:
      UserError: for a stride larger than a patch.
    """
    stride, size = config.score.stride, config.data.patch_size
    if stride > size and not config.score.window:
        raise UserError(
            f"config.score.stride is {stride}, which leaves pixels without a score; it must be at "
            f"most the patch size of {size}"
        )


def check_has_checkpoint(workdir: Path, folder: str = "checkpoints") -> None:
    """Checks for a checkpoint without opening it, and without making the folder.

    Args:
      workdir: of a run.
      folder: `checkpoints` for the newest, `best` for the best by validation.

    Raises:
      UserError: when there is none.
    """
    path = workdir / folder
    if path.is_dir() and any(step.name.isdigit() for step in path.iterdir()):
        return
    if folder == "best":
        raise UserError(f"{workdir}: {NO_BEST}")
    raise UserError(f"{workdir}: no checkpoint to restore; train first (--mode train)")


def restore(workdir: Path, config: ml_collections.ConfigDict, method: Method) -> TrainState:
    """The newest or best state of a workdir's population (`config.eval.checkpoint`), stacked.

    Raises:
      UserError: when there is no checkpoint, or it does not fit the config.
    """
    folder = "best" if config.eval.checkpoint == "best" else "checkpoints"
    check_has_checkpoint(workdir, folder)
    like = jax.eval_shape(lambda: init_population(method, seeds(config)))
    with Checkpoints(workdir, folder) as checkpoints:
        return checkpoints.restore(like)


def scoring_member(
    config: ml_collections.ConfigDict,
    method: Method,
    state: TrainState,
    number: int,
    first: int = 0,
) -> Scoring:
    """One member of a population, as it scores.

    Args:
      config: of the population.
      method: built from it.
      state: of the population, or of a part of it.
      number: of the member in `state`.
      first: which member of the population is the first in `state`.
    """
    one = member(state, number)
    scalars = hparams(config, method)
    own = {name: values[first + number] for name, values in scalars.items()}
    return Scoring(test_weights(config, method, one), own, stream(one.key, Stream.SCORING))


def test_weights(config: ml_collections.ConfigDict, method: Method, state: TrainState) -> Weights:
    """The weights that score, by `config.score.weights`: averaged ones, or `raw`.

    Raw are those of the nets that the last phase trained. A net that it froze stays as that phase
    saw it, with its averaged weights: what was trained against them belongs to them.
    """
    if config.score.weights == "ema":
        return state.ema
    trained = {name for update in method.phases[-1].updates for name in update.trains}
    return overlay(state.weights, state.ema, method.nets.keys() - trained)


def score_name(config: ml_collections.ConfigDict, method: Method) -> str:
    """The score that results are about."""
    name = config.score.name or method.default_score
    return method.aliases.get(name, name)


def store(workdir: Path, run: Experiment) -> None:
    """Writes config, versions and the held-out normal images, of which thresholds are made.

    Raises:
      UserError: where an older semad began a run that this one cannot go on with.
    """
    configs.check_streams(workdir)
    configs.store(workdir, run.config, run.source.train)
    images, part = run.holdout
    arrays = {f"image_{number:05d}": image for number, image in enumerate(images)}
    arrays["part"] = np.array(part)
    write_bytes(workdir / HOLDOUT_FILE, lambda file: np.savez_compressed(file, **arrays))


def load_holdout(workdir: Path) -> Holdout:
    """The held-out normal images of a workdir.

    Raises:
      UserError: when they are not there.
    """
    path = workdir / HOLDOUT_FILE
    if not path.is_file():
        raise UserError(
            f"{workdir}: {HOLDOUT_FILE} is missing, so there is no threshold; call --mode train "
            "again with the run's own --config: it writes the file and trains no further"
        )
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            images = [arrays[name] for name in sorted(arrays) if name.startswith("image_")]
            return Holdout(images, float(arrays["part"]))
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise UserError(f"{path}: damaged ({error}); remove it, and call --mode train") from error
