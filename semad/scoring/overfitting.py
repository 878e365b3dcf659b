"""How much lower normal images score where training saw them, and what they would score unseen.

Thresholds need more normal images than are held out. Those that training saw may join them once
their scores are raised to the level of the others.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from semad.scoring import tail

SIGNIFICANT = 0.05
"""A p-value below which unseen images are said to score higher than seen ones."""
_FEWEST = 3
"""Parts on either side that a comparison takes."""
_ENOUGH = 10
"""Parts on either side from which on what they show is taken as it is. Of fewer a shift counts that
is no chance, and spreads do not count."""
_WIDEST = 3.0
"""The largest ratio of spreads that is corrected."""


class NormalMap(NamedTuple):
    """A map of a normal image.

    Attributes:
      values: floats (H, W).
      seen: how many rows, from the top, training saw.
      name: of the image; empty where it is not known.
    """

    values: np.ndarray
    seen: int
    name: str


class Overfitting(NamedTuple):
    """How what training saw of normal images differs from what it did not see.

    The units are images, or parts of them: each has the mean over blocks of one size of their
    highest levels, which does not grow with its size.

    Attributes:
      auroc: how often a part that was held out scores above one that was not; 0.5: no difference.
      p: of the one-sided Mann-Whitney test of that.
      shift: the median of all differences between the one and the other (Hodges and Lehmann 1963),
        at least 0; 0 where there are fewer than ten parts on a side and p is no less than .05.
      ratio: of the median absolute deviations, at least 1; 1 where there are fewer than ten parts
        on a side.
      level: the median of what training saw.
    """

    auroc: float
    p: float
    shift: float
    ratio: float
    level: float


def measure(maps: Sequence[NormalMap], min_area: int) -> Overfitting | None:
    """Compares unseen parts with seen ones; None where there are fewer than three on a side.

    Args:
      maps: of normal images.
      min_area: pixels of the smallest defect.
    """
    above = [each.values[: each.seen] for each in maps if each.seen]
    below = [each.values[each.seen :] for each in maps if each.seen < len(each.values)]
    side = min([tail.BLOCK, *(length for part in above + below for length in part.shape)])
    seen, unseen = (
        np.array([_level(part, min_area, side) for part in parts]) for parts in (above, below)
    )
    if min(len(seen), len(unseen)) < _FEWEST:
        return None
    test = stats.mannwhitneyu(unseen, seen, alternative="greater")
    p = 1.0 if math.isnan(test.pvalue) else float(test.pvalue)
    enough = min(len(seen), len(unseen)) >= _ENOUGH
    shift = float(np.median(np.subtract.outer(unseen, seen))) if enough or p < SIGNIFICANT else 0.0
    return Overfitting(
        auroc=float(test.statistic) / (len(seen) * len(unseen)),
        p=p,
        shift=max(0.0, shift),
        ratio=_ratio(unseen, seen) if enough else 1.0,
        level=float(np.median(seen)),
    )


def _level(part: np.ndarray, min_area: int, side: int) -> float:
    """The mean over blocks of `side` by `side` pixels of their highest levels."""
    height, width = (length // side * side for length in part.shape)
    return float(tail.block_scores(part[:height, :width], min_area, side).mean())


def _ratio(unseen: np.ndarray, seen: np.ndarray) -> float:
    """How much wider what was held out is spread."""
    wide, narrow = (float(stats.median_abs_deviation(values)) for values in (unseen, seen))
    return float(np.clip(wide / narrow, 1, _WIDEST)) if narrow > 0 else 1.0


def as_if_unseen(normal: NormalMap, overfitting: Overfitting) -> np.ndarray:
    """The map (H, W) as it would be had training not seen its image.

    What training saw is raised by the shift, and what lies above the level further, by the ratio of
    spreads; nothing becomes lower. It is a model of the highest levels, by which images are scored,
    and not of all pixels. In an image of which training saw a part it leaves a step.
    """
    if not normal.seen:
        return normal.values
    values = normal.values.copy()
    seen = values[: normal.seen]
    above = np.maximum(seen - overfitting.level, 0)
    seen += overfitting.shift + (overfitting.ratio - 1) * above
    return values
