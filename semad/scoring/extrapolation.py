"""Thresholds of images' scores, for rates that so few normal images cannot promise.

Each pooling has a model. The highest level of a region follows the tail of the scores of blocks
(`semad.scoring.tail`). A mean of many pixels, or whatever has too few blocks, is taken as normally
distributed over images, as far as nothing better is known. Where an image has two scores, each has
half of the rate, so that both together keep it however they depend on each other (Bonferroni).
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from semad.scoring import tail
from semad.scoring.image_scores import TOGETHER, ImageScorer, Scales, pooled, usable_scale

_FEWEST = 3
"""Images that have a spread which says something."""


class FewImages(NamedTuple):
    """Scores of normal images by one pooling or two, and of their blocks.

    Attributes:
      poolings: of `semad.scoring.image_scores.POOLINGS`, without `several`.
      levels: scores by each, (images, poolings).
      groups: scores of each image's blocks; none where `max` is not among the poolings.
      part: of a whole image that each is.
      min_area: pixels of the smallest defect.
    """

    poolings: tuple[str, ...]
    levels: np.ndarray
    groups: list[np.ndarray]
    part: float
    min_area: int

    @property
    def pooling(self) -> str:
        """Of `semad.scoring.image_scores.POOLINGS`."""
        return self.poolings[0] if len(self.poolings) == 1 else "several"

    @property
    def modelled(self) -> bool:
        """Whether they suffice for a model of every pooling."""
        return self._have_spread or (self._have_tail and self.pooling == "max")

    def limits(self, rate: float) -> np.ndarray:
        """The level of each pooling, (poolings,); one of them or both are exceeded by `rate`."""
        share = rate / len(self.poolings)
        return np.array(
            [
                self._beyond_blocks(share)
                if how == "max" and self._have_tail
                else prediction_limit(self.levels[:, number], share)
                for number, how in enumerate(self.poolings)
            ]
        )

    def _beyond_blocks(self, rate: float) -> float:
        blocks = np.concatenate(self.groups)
        per_image = len(blocks) / len(self.groups) / self.part
        return tail.quantile(blocks, 1 - (1 - rate) ** (1 / per_image))

    @property
    def _have_tail(self) -> bool:
        """Whether blocks suffice for a model of their tail."""
        return bool(self.groups) and tail.fit(np.concatenate(self.groups)) is not None

    @property
    def _have_spread(self) -> bool:
        """Whether they tell how scores of whole images vary: parts of images would not."""
        return len(self.levels) >= _FEWEST and self.part == 1

    def scorer(self, rate: float) -> ImageScorer:
        """What scores images: of two poolings, so that either has half of the rate.

        A deviation of `several` is what it would be if levels were distributed normally about
        their median.
        """
        if len(self.poolings) == 1:
            return ImageScorer(self.poolings[0], self.min_area)
        location = np.median(self.levels, axis=0)
        scale = (self.limits(rate) - location) / stats.norm.isf(rate / 2)
        scales = Scales(tuple(location.tolist()), tuple(usable_scale(location, scale).tolist()))
        return ImageScorer("several", self.min_area, scales)

    def threshold(self, scorer: ImageScorer, rate: float) -> float:
        """The score that a share `rate` of new normal images exceeds."""
        limits = self.limits(rate)
        if scorer.scales is None:
            return float(limits[0])
        location, scale = (np.array(values) for values in scorer.scales)
        return float(((limits - location) / scale).max())

    def check(self) -> dict[str, Any] | None:
        """How the tail of blocks holds; see `semad.scoring.tail.check`. None where none is used."""
        return tail.check(self.groups) if self._have_tail else None


def few_images(
    maps: Sequence[np.ndarray], pooling: str, min_area: int, part: float = 1.0
) -> FewImages:
    """Gathers the scores of normal images.

    Args:
      maps: (H, W) of each.
      pooling: of `semad.scoring.image_scores.POOLINGS`; `several` becomes `max` where there are too
        few images for the second.
      min_area: pixels of the smallest defect.
      part: of a whole image that each is.
    """
    poolings = TOGETHER if pooling == "several" else (pooling,)
    levels = np.array([[pooled(values, how, min_area) for how in poolings] for values in maps])
    groups = [tail.block_scores(values, min_area) for values in maps if "max" in poolings]
    few = FewImages(poolings, levels, groups, part, min_area)
    if len(poolings) == 1 or few._have_spread:
        return few
    return few._replace(poolings=("max",), levels=levels[:, :1])


def prediction_limit(scores: np.ndarray, rate: float) -> float:
    """What another draw from the same normal distribution exceeds with a probability of `rate`.

    Student's prediction limit: mean + t s √(1 + 1/n), of n scores with standard deviation s.

    Args:
      scores: at least two.
      rate: in (0, 1).
    """
    count = len(scores)
    deviations = stats.t.isf(rate, count - 1) * math.sqrt(1 + 1 / count)
    return float(scores.mean() + deviations * scores.std(ddof=1))
