"""A config made concrete: its method, its data, and how training draws from it."""

from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from semad import config as configs
from semad import data
from semad.data import patches
from semad.data.patches import Draw, Stack
from semad.data.source import Source
from semad.errors import UserError
from semad.methods import METHODS
from semad.scoring.batched import make_scorer
from semad.training.checkpoints import Checkpoints
from semad.training.state import init_population
from semad.types import Method, TrainState


class Experiment(NamedTuple):
    """What training and evaluation share.

    Attributes:
      config: as validated.
      method: built from it.
      source: images, each at least one patch in size.
      train: normal images to train on, on the device.
      holdout: normal images, or parts of them, that training never sees.
      draw: how training patches are drawn.
    """

    config: ml_collections.ConfigDict
    method: Method
    source: Source
    train: Stack
    holdout: list[np.ndarray]
    draw: Draw


def prepare(config: ml_collections.ConfigDict) -> Experiment:
    """Reads the data and builds the method.

    Raises:
      UserError: for a bad value, bad data, or data that does not suit the config.
    """
    configs.validate(config)
    method = METHODS[config.method](config)
    check_score_name(config, method)
    source = patches.fit(data.load(config.data), config.data.patch_size)
    train, holdout = patches.split_holdout(source, config.data.holdout, config.data.patch_size)
    flips = config.data.flips
    draw = Draw(
        patch_size=config.data.patch_size,
        crops_per_image=config.data.crops_per_image if source.micrographs else 1,
        batch_size=config.train.batch_size,
        flips=not source.oriented if flips is None else flips,
    )
    return Experiment(config, method, source, patches.stack(train), holdout, draw)


def check_score_name(config: ml_collections.ConfigDict, method: Method) -> None:
    """Checks `config.score.name` before hours of training, by tracing the score.

    Raises:
      UserError: for a score that the method does not have.
    """
    name = config.score.name or method.default_score
    size, channels = config.data.patch_size, config.data.channels
    like = jax.eval_shape(lambda: init_population(method, [0]))
    one = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), like.ema)
    stack = Stack(
        jax.ShapeDtypeStruct((1, size, size, channels), jnp.uint8),
        jax.ShapeDtypeStruct((1, 2), jnp.int32),
    )
    items = jax.ShapeDtypeStruct((1, 3), jnp.int32)
    key = jax.eval_shape(lambda: jax.random.key(0))
    names, _ = jax.eval_shape(make_scorer(method, size), one, stack, items, key)
    if name not in names:
        raise UserError(
            f"config.score.name is {name!r}; {method.name} has: {', '.join(sorted(names))}"
        )


def seeds(config: ml_collections.ConfigDict) -> list[int]:
    """The seed of every member of the population."""
    return [config.seed + number for number in range(config.population.seeds)]


def check_has_checkpoint(workdir: Path) -> None:
    """Checks for a checkpoint without opening it, and without making the folder.

    Raises:
      UserError: when there is none.
    """
    folder = workdir / "checkpoints"
    if not folder.is_dir() or not any(path.name.isdigit() for path in folder.iterdir()):
        raise UserError(f"{workdir}: no checkpoint to restore; train first (--mode train)")


def restore(workdir: Path, config: ml_collections.ConfigDict, method: Method) -> TrainState:
    """The newest state of a workdir's population, stacked over its members.

    Raises:
      UserError: when there is no checkpoint, or it does not fit the config.
    """
    check_has_checkpoint(workdir)
    like = jax.eval_shape(lambda: init_population(method, seeds(config)))
    with Checkpoints(workdir) as checkpoints:
        return checkpoints.restore(like)
