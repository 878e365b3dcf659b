"""Scores of many patches, a chunk at a time: one compiled shape, bounded memory."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from operator import itemgetter
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from semad import losses
from semad.data.normalisation import normalise
from semad.errors import UserError
from semad.pace import Pace
from semad.types import Hparams, Method, Weights

_FLIPS = ((), (1,), (2,), (1, 2))
"""Axes of (N, P, P, C) along which a patch is mirrored, the patch itself first."""


class Evidence(NamedTuple):
    """What a method says of N patches.

    Attributes:
      scores: score name -> float32 (N,), higher is more anomalous.
      maps: name -> float32 (N, P, P), of those scores that say something of each pixel; or empty.
      reconstructions: (N, P, P, C), normalised as what they rebuild; or None.
    """

    scores: dict[str, jax.Array]
    maps: dict[str, jax.Array]
    reconstructions: jax.Array | None


class Scoring(NamedTuple):
    """The member that scores.

    Attributes:
      weights: those used at test time.
      hparams: its scalars.
      key: the same for all patches.
    """

    weights: Weights
    hparams: Hparams
    key: jax.Array


Scorer = Callable[[Any, jax.Array], Evidence]
"""(member, patches (N, P, P, C) of integers) -> Evidence, compiled for one N.

The member is a `Scoring`, or a sequence of them for a scorer by several `together`.
"""


class Scores(NamedTuple):
    """Scores of N patches, and the reconstructions that were asked for.

    Attributes:
      values: score name -> float32 (N,), higher is more anomalous.
      reconstructions: position -> (P, P, C), normalised as what they rebuild; empty for a system
        that makes none.
    """

    values: dict[str, np.ndarray]
    reconstructions: dict[int, np.ndarray]


def make_scorer(method: Method, maps: bool = False) -> Scorer:
    """The compiled scoring of one chunk of patches.

    To a method's own scores it adds the residual scores of the reconstruction, if there is one,
    `l1`, `l2` and `ssim`, as means over pixels; with `maps` also their values at every pixel.
    With `method.flips` each patch is seen in its four mirror images, and its scores and maps are
    the means over them (test-time augmentation); its reconstruction is that of the patch as it is.
    """

    @jax.jit
    def score(member: Scoring, patches: jax.Array) -> Evidence:
        see = partial(_evidence, method, maps, member)
        images = normalise(patches, method.normalisation)
        return _mean_over_flips(see, images) if method.flips else see(images)

    return score


def _mean_over_flips(see: Callable[[jax.Array], Evidence], images: jax.Array) -> Evidence:
    views = []
    for axes in _FLIPS:
        view = see(jnp.flip(images, axes))
        maps = {name: jnp.flip(values, axes) for name, values in view.maps.items()}
        views.append(view._replace(maps=maps))
    return _mean(views)._replace(reconstructions=views[0].reconstructions)


def _mean(parts: Sequence[Evidence]) -> Evidence:
    return jax.tree.map(lambda *leaves: sum(leaves) / len(leaves), *parts)


def _evidence(method: Method, maps: bool, member: Scoring, images: jax.Array) -> Evidence:
    """What a method says of normalised images (N, P, P, C) as they are."""
    own, rebuilt, pixels = method.score(
        method.bind(member.weights), images, member.key, member.hparams
    )
    residuals = losses.RESIDUALS if rebuilt is not None else {}
    scores = {name: distance(images, rebuilt) for name, distance in residuals.items()}
    if not maps:
        return Evidence(scores | own, {}, rebuilt)
    functions = {name: losses.RESIDUAL_MAPS[name] for name in residuals}
    every = {name: function(images, rebuilt) for name, function in functions.items()}
    return Evidence(scores | own, every | (pixels or {}), rebuilt)


def together(scorer: Scorer) -> Scorer:
    """A scorer by several members at once: the mean of all that they say.

    Maps are blended of patches and smoothed by sums alone, so that a map by this scorer is the mean
    of the members' maps.
    """

    def score(members: Sequence[Scoring], patches: jax.Array) -> Evidence:
        return _mean([scorer(member, patches) for member in members])

    return score


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


def cut_items(images: Sequence[np.ndarray], items: np.ndarray, patch_size: int) -> np.ndarray:
    """The patches of several images at items (N, 3), rows of (image, top, left): (N, P, P, C)."""
    size = patch_size
    return np.stack([images[i][y : y + size, x : x + size] for i, y, x in items])


def score_chunks(
    scorer: Scorer,
    member: Scoring,
    patches: Callable[[slice], np.ndarray],
    count: int,
    chunk: int,
) -> Iterator[tuple[int, Evidence]]:
    """The evidence of `count` patches, chunk by chunk, as NumPy arrays with their first position.

    The ragged last chunk is padded for the program, and cut again.
    """
    for start in range(0, count, chunk):
        part = patches(slice(start, min(start + chunk, count)))
        real = len(part)
        padding = np.repeat(part[-1:], chunk - real, axis=0)
        evidence = jax.device_get(scorer(member, np.concatenate([part, padding])))
        yield start, jax.tree.map(itemgetter(slice(real)), evidence)


def score_items(
    scorer: Scorer,
    member: Scoring,
    images: Sequence[np.ndarray],
    items: np.ndarray,
    *,
    patch_size: int,
    chunk: int,
    keep: Iterable[int] = (),
    label: str = "scoring",
) -> Scores:
    """Scores patches in chunks of one shape.

    At a given chunk size a patch's scores are the same to the bit in whatever company it comes;
    between chunk sizes they agree to a relative 1e-4 (a long search may amplify rounding).

    Args:
      scorer: of `make_scorer`.
      member: whose scores.
      images: (height, width, C) each, uint8 or uint16.
      items: int32 (N, 3), rows of (image, top, left).
      patch_size: in pixels.
      chunk: patches per call.
      keep: positions whose reconstructions to return.
      label: for the progress bar.
    """

    wanted = set(keep)
    parts: list[dict[str, np.ndarray]] = []
    reconstructions: dict[int, np.ndarray] = {}
    pace = Pace(label, len(items), "--config.eval.max_items scores a seeded subset")
    chunks = score_chunks(
        scorer, member, lambda rows: cut_items(images, items[rows], patch_size), len(items), chunk
    )
    total = -(-len(items) // chunk)
    for start, evidence in tqdm(chunks, total=total, desc=label, unit="chunk", leave=False):
        parts.append(evidence.scores)
        end = min(start + chunk, len(items))
        pace.tick(end)
        shown = (
            wanted.intersection(range(start, end)) if evidence.reconstructions is not None else ()
        )
        for position in shown:
            reconstructions[position] = evidence.reconstructions[position - start]
    values = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return Scores(values, reconstructions)
