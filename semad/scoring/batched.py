"""Scores of many patches, a chunk at a time: one compiled shape, bounded memory."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import jax
import numpy as np
from tqdm import tqdm

from semad import losses
from semad.data.patches import Stack, crops
from semad.pace import Pace
from semad.types import Method, Weights

ChunkScorer = Callable[
    [Weights, Stack, jax.Array, jax.Array], tuple[dict[str, jax.Array], jax.Array]
]


class Scores(NamedTuple):
    """Scores of N patches, and the reconstructions that were asked for.

    Attributes:
      values: score name -> float32 (N,), higher is more anomalous.
      reconstructions: position -> (P, P, C) in [-1, 1].
    """

    values: dict[str, np.ndarray]
    reconstructions: dict[int, np.ndarray]


def make_scorer(method: Method, patch_size: int) -> ChunkScorer:
    """The compiled scoring of one chunk: (weights, images, items (N, 3), key) -> scores.

    To a method's own scores it adds the residual scores of the reconstruction, `l1`, `l2` and
    `ssim`, as means over pixels.
    """

    @jax.jit
    def score(
        weights: Weights, data: Stack, items: jax.Array, key: jax.Array
    ) -> tuple[dict[str, jax.Array], jax.Array]:
        images = crops(data, items, patch_size)
        own, reconstructions = method.score(method.bind(weights), images, key)
        residuals = {
            name: distance(images, reconstructions) for name, distance in losses.RESIDUALS.items()
        }
        return residuals | own, reconstructions

    return score


def score_items(
    scorer: ChunkScorer,
    weights: Weights,
    data: Stack,
    items: np.ndarray,
    key: jax.Array,
    *,
    chunk: int,
    keep: Iterable[int] = (),
    label: str = "scoring",
) -> Scores:
    """Scores patches in chunks of one shape; the ragged last one is padded.

    At a given chunk size a patch's scores are the same to the bit in whatever company it comes;
    between chunk sizes they agree to a relative 1e-4 (a long search may amplify rounding).

    Args:
      scorer: of `make_scorer`.
      weights: of one member.
      data: the images, on the device.
      items: int32 (N, 3), rows of (image, top, left).
      key: the same for all patches.
      chunk: patches per call.
      keep: positions whose reconstructions to return.
      label: for the progress bar.
    """
    wanted = set(keep)
    parts: list[dict[str, np.ndarray]] = []
    reconstructions: dict[int, np.ndarray] = {}
    pace = Pace(label, len(items), "--config.eval.max_items scores a seeded subset")
    for start in tqdm(range(0, len(items), chunk), desc=label, unit="chunk", leave=False):
        part = items[start : start + chunk]
        padded = np.concatenate([part, np.repeat(part[-1:], chunk - len(part), axis=0)])
        values, images = scorer(weights, data, padded, key)
        parts.append({name: np.asarray(value)[: len(part)] for name, value in values.items()})
        pace.tick(start + len(part))
        for position in wanted.intersection(range(start, start + len(part))):
            reconstructions[position] = np.asarray(images[position - start])
    values = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return Scores(values, reconstructions)
