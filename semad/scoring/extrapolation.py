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
from semad.scoring.image_scores import ImageScorer, Scales, poolings_of

_FEWEST = 3
"""Images that have a spread which says something."""
_LEAST_SCALE = 1e-6
"""Of scores; where normal images do not differ."""

BLOCKS, NORMAL = "blocks", "normal"
"""Models: the tail of blocks' scores, and a normal distribution of images' scores."""


class FewImages(NamedTuple):
    """Scores of normal images by one pooling or two, and of their blocks.

    Attributes:
      pooling: of `semad.scoring.image_scores.POOLINGS`.
      levels: by `semad.scoring.image_scores.levels_of`, (images, poolings).
      groups: scores of each image's blocks; none where `max` is not among the poolings.
      part: of a whole image that each is.
      min_area: pixels of the smallest defect.
    """

    pooling: str
    levels: np.ndarray
    groups: list[np.ndarray]
    part: float
    min_area: int

    @property
    def models(self) -> dict[str, str] | None:
        """By pooling, `blocks` or `normal`; None where one of them has no model."""
        have_tail = bool(self.groups) and tail.fit(np.concatenate(self.groups)) is not None
        models = {
            how: BLOCKS if how == "max" and have_tail else NORMAL
            for how in poolings_of(self.pooling)
        }
        enough = have_spread(len(self.levels), self.part)
        return models if enough or NORMAL not in models.values() else None

    def limits(self, rate: float) -> np.ndarray:
        """The level of each pooling, (poolings,).

        A share `rate` of new normal images exceeds one of them or both, at most.
        """
        models = self.models
        assert models is not None  # callers ask first
        share = rate / len(models)
        return np.array(
            [
                self._beyond_blocks(share)
                if model == BLOCKS
                else prediction_limit(self.levels[:, number], share)
                for number, model in enumerate(models.values())
            ]
        )

    def _beyond_blocks(self, rate: float) -> float:
        blocks = np.concatenate(self.groups)
        per_image = len(blocks) / len(self.groups) / self.part
        return tail.quantile(blocks, 1 - (1 - rate) ** (1 / per_image))

    def scorer(self, rate: float) -> ImageScorer:
        """What scores images: of two poolings, so that either has half of the rate.

        A deviation of `several` is what it would be if levels were distributed normally about
        their median.
        """
        if len(poolings_of(self.pooling)) == 1:
            return ImageScorer(self.pooling, self.min_area)
        location = np.median(self.levels, axis=0)
        spread = np.maximum(self.limits(rate) - location, _LEAST_SCALE)
        scale = spread / stats.norm.isf(rate / 2)
        scales = Scales(tuple(location.tolist()), tuple(scale.tolist()))
        return ImageScorer(self.pooling, self.min_area, scales)

    def threshold(self, scorer: ImageScorer, rate: float) -> float:
        """The score that a share `rate` of new normal images exceeds.

        It is less than that where `scorer` was made for another rate: then the limits of its two
        poolings are no longer one score, and the higher counts.
        """
        return float(scorer.of_levels(self.limits(rate)[None])[0])

    def check(self) -> dict[str, Any] | None:
        """How the tail of blocks holds; see `semad.scoring.tail.check`. None where none is used."""
        uses = BLOCKS in (self.models or {}).values()
        return tail.check(self.groups) if uses else None


def few_images(
    maps: Sequence[np.ndarray], levels: np.ndarray, pooling: str, min_area: int, part: float = 1.0
) -> FewImages:
    """Normal images, with the scores of their blocks.

    Args:
      maps: (H, W) of each.
      levels: of these, by `semad.scoring.image_scores.levels_of`.
      pooling: of `semad.scoring.image_scores.POOLINGS`.
      min_area: pixels of the smallest defect.
      part: of a whole image that each is.
    """
    has_max = "max" in poolings_of(pooling)
    groups = [tail.block_scores(values, min_area) for values in maps if has_max]
    return FewImages(pooling, levels, groups, part, min_area)


def have_spread(count: int, part: float) -> bool:
    """Whether so many images tell how scores of whole ones vary: parts of images would not."""
    return count >= _FEWEST and part == 1


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
