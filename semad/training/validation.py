"""Validation while training: each member's best state so far is kept.

The measure, `config.train.validation`, is the mean square residual on held-out normal patches
(thesis, section 5.5), or how badly synthetic defects in held-out normal images are found
(`semad.selection.measures`), with the weights used at test time. No anomalous image and
no test score takes part. Thresholds come from the same held-out images, so with
`config.eval.checkpoint = "best"` they are a little optimistic.
"""

import logging
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from semad import losses
from semad.data.normalisation import normalise
from semad.data.patches import crops, stack, tile_items
from semad.losses import adversarial, sample_latent
from semad.run.checkpoints import Checkpoints, NoneSound
from semad.run.prepare import Run
from semad.run.state import merge, over_members, split
from semad.run.system import test_weights
from semad.training.health import RECONSTRUCTIONS, SAMPLES
from semad.types import TrainState
from semad.utils import collective

_log = logging.getLogger(__name__)

Measure = Callable[[TrainState, int], np.ndarray]
"""What is to become small: a group of members, and which of the population is the first of them
-> (members,)."""

_PATCHES = 256


def by_reconstruction(run: Run) -> Measure:
    """The mean square residual."""
    residual = _of_reconstructions(run, lambda x, y: losses.mean_square(x, y).mean())
    return lambda group, first: np.asarray(residual(group))


def reconstruction_spread(run: Run) -> Callable[[TrainState], jax.Array]:
    """How much reconstructions differ among themselves, over how much what they rebuild does.

    Near 0 a reconstruction no longer depends on its input (`semad.losses.adversarial.spread`), and
    every residual score is that of a constant image. Of a group of members -> (members,).
    """
    return _of_reconstructions(run, lambda x, y: adversarial.spread(y, x))


def spreads(run: Run) -> Callable[[TrainState], dict[str, jax.Array]] | None:
    """What `semad.training.health` watches of the weights that score, in a single program.

    Of a group of members, `reconstructions/spread` as above, and `samples/spread`, the same of
    samples of always the same latents: name -> (members,). None for a system with neither.
    """
    rebuild, sample = run.method.reconstruct, run.method.sample
    if not rebuild and not sample:
        return None
    images = _holdout_patches(run)
    z = sample_latent(jax.random.key(0), len(images), run.method.latent_dim)

    @jax.jit
    def values(group: TrainState) -> dict[str, jax.Array]:
        def of_member(weights: Any) -> dict[str, jax.Array]:
            nets, made = run.method.bind(weights), {}
            if rebuild:
                made[RECONSTRUCTIONS] = rebuild(nets, images)
            if sample:
                made[SAMPLES] = sample(nets, z)
            return {name: adversarial.spread(pictures, images) for name, pictures in made.items()}

        return over_members(of_member, (0,))(test_weights(run.system, group))

    return values


def _of_reconstructions(
    run: Run, value: Callable[[jax.Array, jax.Array], jax.Array]
) -> Callable[[TrainState], jax.Array]:
    """A value of `_holdout_patches` and their reconstructions, for each member of a group."""
    rebuild = run.method.reconstruct
    assert rebuild is not None
    images = _holdout_patches(run)

    @jax.jit
    def values(group: TrainState) -> jax.Array:
        def member_value(weights: Any) -> jax.Array:
            return value(images, rebuild(run.method.bind(weights), images))

        return over_members(member_value, (0,))(test_weights(run.system, group))

    return values


def _holdout_patches(run: Run) -> jax.Array:
    """Held-out normal patches (N, P, P, C), always the same, spread evenly over their images."""
    size = run.sampling.patch_size
    items = tile_items(run.holdout, size, size)
    chosen = items[np.unique(np.linspace(0, len(items) - 1, _PATCHES, dtype=int))]
    return normalise(crops(stack(run.holdout), chosen, size), run.method.normalisation)


class Best:
    """The states with the lowest validation loss of the last phase, one per member."""

    def __init__(self, measure: Measure, folder: Checkpoints, start: int, group_size: int) -> None:
        """Goes on from what `folder` holds of the phase that starts at step `start`."""
        self._validate = measure
        self._folder = folder
        self._start = start
        self._group_size = group_size
        self._state: TrainState | None = None
        self._losses = np.array([])

    def update(self, groups: list[TrainState], step: int) -> np.ndarray:
        """Keeps each member that is at least as good as its best; its loss now, (members,).

        Args:
          groups: the population as it is trained, on this process' device.
          step: of training.
        """
        now = self._measured(groups)
        state = merge(groups)
        if self._state is None:
            self._load_kept(state)
        better = now <= self._losses
        if better.any():
            self._losses = np.where(better, now, self._losses)
            self._state = _choose(better, state, self._state or state)
            self._folder.save(self._state, step)
        return now

    def _measure(self, groups: list[TrainState]) -> np.ndarray:
        size = self._group_size
        values = [self._validate(group, number * size) for number, group in enumerate(groups)]
        return np.concatenate([np.asarray(value) for value in values])

    def _load_kept(self, state: TrainState) -> None:
        """What an interrupted run had kept; nothing of an earlier phase counts."""
        self._losses = np.full(state.step.shape, np.inf)
        if self._folder.latest() is None:
            return
        try:
            kept = self._folder.restore(jax.eval_shape(lambda: state))
        except NoneSound as error:
            self._folder.set_aside()
            _log.warning("the best state so far is lost, and the best from here on kept: %s", error)
            return
        if int(kept.step.min()) > self._start:
            self._state = kept
            self._losses = self._measured(split(kept, self._group_size))

    def _measured(self, groups: list[TrainState]) -> np.ndarray:
        """The losses, (members,): those of the first process, so that all choose alike."""
        return collective.gather({"losses": self._measure(groups)})[0]["losses"]


def _choose(which: np.ndarray, state: TrainState, other: TrainState) -> TrainState:
    """Member by member, `state` where `which` is True and `other` elsewhere."""

    def pick(a: jax.Array, b: jax.Array) -> jax.Array:
        return jnp.where(which.reshape(-1, *[1] * (a.ndim - 1)), a, b)

    keys = jax.random.key_data(state.key), jax.random.key_data(other.key)
    chosen = jax.tree.map(pick, state._replace(key=keys[0]), other._replace(key=keys[1]))
    return chosen._replace(key=jax.random.wrap_key_data(chosen.key))
