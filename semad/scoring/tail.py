"""Thresholds for rates that are lower than normal images can promise, by a model of the tail.

The highest scores of an image's blocks follow a generalised Pareto distribution above a high level
(Pickands 1975). An extrapolation rests on that, which a few images cannot prove; `check` measures
it where blocks suffice.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from semad.scoring.regions import area_level
from semad.scoring.thresholds import achieved, conformal

BLOCK = 64
"""Pixels of a block's sides, at most. Blocks of one image are taken for independent."""

_FITTED = 40
"""Highest blocks that the tail is fitted to, within `_SHARES`."""
_SHARES = (0.05, 0.2)
"""Of all blocks, at least and at most: further down is no tail, and fewer blocks say little."""
_FEWEST = 10
"""Blocks that a fit needs; with fewer, the highest stands for all that is beyond."""
_SHAPES = (0.0, 0.5)
"""Bounds of the shape. A negative one says that scores end somewhere, which a few dozen blocks
cannot know: where it was allowed, draws kept half of the promise."""
_CHECKED = 0.02
"""The rate of blocks at which the model is checked."""


class Tail(NamedTuple):
    """A generalised Pareto distribution above a level.

    Attributes:
      level: exceeded by a share of the blocks.
      share: that share.
      shape, scale: of the excesses.
    """

    level: float
    share: float
    shape: float
    scale: float


def block_scores(values: np.ndarray, min_area: int, side: int = BLOCK) -> np.ndarray:
    """The highest level of `min_area` connected pixels in each block of a map (H, W): (blocks,).

    A block has about `side` by `side` pixels; exactly, where these divide the map.
    """
    cuts = [
        np.linspace(0, size, max(1, round(size / side)) + 1).astype(int) for size in values.shape
    ]
    return np.array(
        [
            area_level(values[top:bottom, left:right], min_area)
            for top, bottom in zip(cuts[0], cuts[0][1:], strict=False)
            for left, right in zip(cuts[1], cuts[1][1:], strict=False)
        ]
    )


def fit(scores: np.ndarray) -> Tail | None:
    """The tail of blocks' scores (n,) by L-moments (Hosking and Wallis 1987); None of too few."""
    share = float(np.clip(_FITTED / len(scores), *_SHARES))
    level = float(np.quantile(scores, 1 - share))
    excesses = scores[scores > level] - level
    if len(excesses) < _FEWEST:
        return None
    mean, spread = stats.lmoment(excesses, order=[1, 2])
    shape = float(np.clip(2 - mean / spread, *_SHAPES)) if spread > 0 else _SHAPES[0]
    return Tail(level, len(excesses) / len(scores), shape, float((1 - shape) * mean))


def quantile(scores: np.ndarray, rate: float) -> float:
    """The level that a share `rate` of blocks exceeds, extrapolated where they are too few.

    Args:
      scores: of blocks, (n,).
      rate: in (0, 1).
    """
    tail = fit(scores)
    if tail is None or rate >= tail.share:
        return conformal(scores, rate)
    beyond = stats.genpareto.isf(rate / tail.share, tail.shape, scale=tail.scale)
    return tail.level + float(beyond)


def check(groups: Sequence[np.ndarray]) -> dict[str, Any] | None:
    """How the model holds at a rate that blocks suffice for, image by image.

    Args:
      groups: blocks' scores, a group per image.

    Returns:
      `asked`, with `achieved` and its `interval`: the share of each image's blocks above the level
      that the others' tail has for it. None for a single image.
    """
    measured = achieved(groups, _CHECKED, quantile)
    return None if measured is None else {"asked": _CHECKED} | measured
