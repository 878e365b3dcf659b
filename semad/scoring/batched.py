"""What scores patches, compiled for one number of them; see `semad.scoring.chunks` for many."""

import logging
from collections.abc import Callable, Sequence
from functools import partial
from threading import Lock
from typing import Any, Generic, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from semad import losses
from semad.data.normalisation import normalise
from semad.errors import UserError, out_of_memory
from semad.types import Hparams, Method, Weights

_log = logging.getLogger(__name__)

_FLIPS = ((), (1,), (2,), (1, 2))
"""Axes of (N, P, P, C) along which a patch is mirrored, the patch itself first."""


ArrayT = TypeVar("ArrayT", jax.Array, np.ndarray)


class PatchScores(NamedTuple, Generic[ArrayT]):
    """What a method says of N patches.

    Attributes:
      scores: score name -> float32 (N,), higher is more anomalous.
      maps: name -> float32 (N, P, P), of those scores that say something of each pixel; or empty.
      reconstructions: (N, P, P, C), normalised as what they rebuild; or None.
    """

    scores: dict[str, ArrayT]
    maps: dict[str, ArrayT]
    reconstructions: ArrayT | None


class ScoringState(NamedTuple):
    """A member of a population, as it scores.

    Attributes:
      weights: those used at test time.
      hparams: its scalars.
      key: the same for all patches.
    """

    weights: Weights
    hparams: Hparams
    key: jax.Array


ScoringStates = ScoringState | Sequence[ScoringState] | None
"""One member, several for an `ensemble`, or none for a scorer without weights."""

Scorer = Callable[..., PatchScores[jax.Array]]
"""(member, patches (N, P, P, C), see `normalise`, absent=None) -> PatchScores, compiled for one N.

The member is a `ScoringState`, or a sequence of them for an `ensemble`. `absent`, bool
(N,), says which patches only fill up the call: what is said of them counts for nothing, and a
system that searches does not search for them.
"""


def make_scorer(method: Method, maps: bool = False) -> Scorer:
    """The compiled scoring of one chunk of patches.

    To a method's own scores it adds the residual scores of the reconstruction, if there is one,
    `l1`, `l2` and `ssim`, as means over pixels; with `maps` also their values at every pixel.
    With `method.flips` each patch is seen in its four mirror images, and its scores and maps are
    the means over them (test-time augmentation); its reconstruction is that of the patch as it is.
    """

    @jax.jit
    def score(
        member: ScoringState, patches: jax.Array, absent: jax.Array | None = None
    ) -> PatchScores[jax.Array]:
        score_view = partial(_patch_scores, method, maps, member)
        images = normalise(patches, method.normalisation)
        if absent is not None and method.searches:
            images = jnp.where(absent[:, None, None, None], jnp.nan, images)
        return _mean_over_flips(score_view, images) if method.flips else score_view(images)

    return score


def _mean_over_flips(
    score_view: Callable[[jax.Array], PatchScores[jax.Array]], images: jax.Array
) -> PatchScores[jax.Array]:
    views = []
    for axes in _FLIPS:
        view = score_view(jnp.flip(images, axes))
        maps = {name: jnp.flip(values, axes) for name, values in view.maps.items()}
        views.append(view._replace(maps=maps))
    return _mean(views)._replace(reconstructions=views[0].reconstructions)


def _mean(parts: Sequence[PatchScores[jax.Array]]) -> PatchScores[jax.Array]:
    return jax.tree.map(lambda *leaves: sum(leaves) / len(leaves), *parts)


def _patch_scores(
    method: Method, maps: bool, member: ScoringState, images: jax.Array
) -> PatchScores[jax.Array]:
    """What a method says of normalised images (N, P, P, C) as they are."""
    scores, rebuilt, pixels = method.score(
        method.bind(member.weights), images, member.key, member.hparams
    )
    if rebuilt is None:
        return PatchScores(dict(scores), dict(pixels or {}) if maps else {}, None)
    residuals = losses.RESIDUALS.items()
    everything = {name: residual.value(images, rebuilt) for name, residual in residuals}
    everything |= scores
    if not maps:
        return PatchScores(everything, {}, rebuilt)
    dense = {name: residual.map(images, rebuilt) for name, residual in residuals}
    return PatchScores(everything, dense | dict(pixels or {}), rebuilt)


def ensemble(scorer: Scorer) -> Scorer:
    """A scorer by several members at once: the mean of all that they say.

    Maps are blended of patches and smoothed by sums alone, so that a map by this scorer is the mean
    of the members' maps.
    """

    def score(
        members: Sequence[ScoringState], patches: jax.Array, absent: jax.Array | None = None
    ) -> PatchScores[jax.Array]:
        return _mean([scorer(member, patches, absent) for member in members])

    return score


def over_devices(scorer: Scorer) -> Scorer:
    """The same scorer, with the patches of a call shared out among the local devices.

    Each device scores its part by itself, so that a search on one waits for no other. A number of
    patches that the devices do not divide stays on one. What does not fit into their memory is
    scored in parts, see `WithinMemory`.
    """
    devices = jax.local_devices()
    if len(devices) == 1:
        return WithinMemory(scorer)
    mesh = jax.sharding.Mesh(np.array(devices), ("patches",))
    rows, all_ = jax.P("patches"), jax.P()
    shared = jax.jit(
        jax.shard_map(
            scorer, mesh=mesh, in_specs=(all_, rows, rows), out_specs=rows, check_vma=False
        )
    )

    def score(
        member: Any, patches: jax.Array, absent: jax.Array | None = None
    ) -> PatchScores[jax.Array]:
        if len(patches) % len(devices):
            return scorer(member, patches, absent)
        missing = np.zeros(len(patches), bool) if absent is None else absent
        everywhere = jax.device_put(member, jax.sharding.NamedSharding(mesh, all_))
        return shared(everywhere, patches, missing)

    return WithinMemory(score)


class WithinMemory:
    """A scorer whose calls are each as large as fits into the memory of a device.

    Whether a call fits shows when it is made. Then it is halved, and so are all that follow with
    patches of that shape. Threads may share it: the first call of a shape and dtype is made alone,
    for two would each compile the program.
    """

    def __init__(self, scorer: Scorer) -> None:
        """Starts with calls as large as they are asked for."""
        self._scorer = scorer
        self._most: dict[tuple[int, ...], int] = {}
        self._tried: set[tuple[tuple[int, ...], np.dtype]] = set()
        self._alone = Lock()

    def __call__(
        self, member: ScoringStates, patches: jax.Array, absent: jax.Array | None = None
    ) -> PatchScores[Any]:
        """As a `Scorer`; it waits for the scores.

        Raises:
          JaxRuntimeError: where not even the smallest part fits, or for what else JAX raises.
        """
        missing = np.zeros(len(patches), bool) if absent is None else np.asarray(absent)
        kind = (patches.shape, patches.dtype)
        if kind not in self._tried:
            with self._alone:
                if kind not in self._tried:  # another thread may have made it meanwhile
                    scored = self._call(member, patches, missing)
                    self._tried.add(kind)
                    return scored
        return self._call(member, patches, missing)

    def _call(
        self, member: ScoringStates, patches: jax.Array, missing: np.ndarray
    ) -> PatchScores[Any]:
        shape = patches.shape[1:]
        while True:
            size = self._most.get(shape, len(patches))  # another thread may halve it
            starts = range(0, len(patches), size)
            parts = [(patches[at : at + size], missing[at : at + size]) for at in starts]
            try:
                scored = [jax.block_until_ready(self._scorer(member, *part)) for part in parts]
            except jax.errors.JaxRuntimeError as error:
                if not out_of_memory(error) or size % (2 * jax.local_device_count()):
                    raise
                self._halve(shape, size)
            else:
                if len(scored) == 1:
                    return scored[0]
                host = jax.device_get(scored)
                return jax.tree.map(lambda *arrays: np.concatenate(arrays), *host)

    def _halve(self, shape: tuple[int, ...], size: int) -> None:
        if self._most.get(shape, size) == size:
            self._most[shape] = size // 2
            _log.warning(
                "%d patches at once do not fit into the device's memory; trying %d from here on, "
                "as --config.score.chunk=%d would from the start",
                size,
                size // 2,
                size // 2 // jax.local_device_count(),
            )


def check_finite(name: str, *arrays: np.ndarray) -> None:
    """Raises a UserError for a score that is not finite everywhere."""
    if not all(np.isfinite(values).all() for values in arrays):
        raise UserError(
            f"the score {name} is not finite everywhere; train with lower learning rates "
            "(--config.lr.<net>), or search with a lower one (--config.search.lr)"
        )


def cut(image: np.ndarray, corners: np.ndarray, patch_size: int) -> np.ndarray:
    """The patches of an image (H, W, C) at corners (N, 2), rows of (top, left): (N, P, P, C)."""
    windows = np.lib.stride_tricks.sliding_window_view(image, (patch_size, patch_size), (0, 1))
    return np.moveaxis(windows[corners[:, 0], corners[:, 1]], 1, -1)
