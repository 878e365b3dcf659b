"""Thresholds from normal images: of pixels from unseen ones, of whole images from all.

Held-out images alone promise little: twelve of sixty cannot promise a rate of 5 %. So the images
that were trained on join them, with scores as they would be had training not seen them.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from semad.scoring.extrapolation import FewImages, few_images
from semad.scoring.image_scores import ImageScorer, fitted
from semad.scoring.overfitting import NormalMap, as_if_unseen, measure
from semad.scoring.rate_curves import RateCurves, rate_curves
from semad.scoring.thresholds import Rates, Thresholds, achieved, conformal

VERSION = 3
"""Of what follows from normal images, which a workdir keeps; another one calibrates anew."""


_HIGHEST = 3
"""Normal images that are named, since a defect in one of them would raise the threshold."""


class Calibration(NamedTuple):
    """Thresholds, the scorer of images that they are for, how they came about, and other ones."""

    thresholds: Thresholds
    scorer: ImageScorer
    record: dict[str, Any]
    curves: RateCurves | None = None


def calibrate(
    maps: Sequence[NormalMap],
    rates: Rates,
    pooling: str,
    min_area: int,
    part: float = 1.0,
    *,
    curves: bool = False,
) -> Calibration:
    """All thresholds from normal images, and what can be said of their rates.

    An image's threshold is the split-conformal quantile of normal images' scores, where they are
    enough for the rate. Else it is extrapolated (`semad.scoring.extrapolation`), or the highest
    score, where not even that is possible. The threshold of pixels is the quantile of unseen ones,
    which are many enough.

    Args:
      maps: of normal images.
      rates: of false positives.
      pooling: of `semad.scoring.image_scores.POOLINGS`.
      min_area: pixels of the smallest defect.
      part: of a whole image that what is held out of each is; see `semad.data.normal_images`.
      curves: whether thresholds of other rates are wanted.

    Returns:
      Thresholds and scorer, and a record of `rate`, `pixel_rate`, `images` (how many there were),
      `part` (of a whole image that each is), `lowest_rate` (below which n images can promise
      nothing), `rule` (`conformal`, `extrapolated` or `highest`), `pooling`, `highest` (`image` and
      `score` of the normal images that score highest), `seen` (see
      `semad.scoring.overfitting.Overfitting`; None where held-out images count alone), `tail` (see
      `semad.scoring.tail`; None where no threshold rests on it), and `pixel`, the `achieved` rate
      with its 95 % `interval`, measured by leaving one image out. The like for whole images would
      measure nothing: the share of n numbers above the rank of the others follows from n alone.
    """
    held = [each for each in maps if each.seen < len(each.values)]
    unseen = [each.values[each.seen :] for each in held]
    overfitting = measure(maps, min_area)
    if overfitting is None:
        used = unseen
    else:
        used, part = [as_if_unseen(each, overfitting) for each in maps], 1.0
    lowest = 1 - (1 - 1 / (len(used) + 1)) ** (1 / part)
    record: dict[str, Any] = {
        "rate": rates.image,
        "pixel_rate": rates.pixel,
        "images": len(used),
        "part": part,
        "lowest_rate": lowest,
        "seen": None if overfitting is None else overfitting._asdict(),
    }
    pixels = [values.ravel() for values in unseen]
    promised = rates.image >= lowest * (1 - 1e-9)  # 1 / (n + 1), however it is rounded
    few = None if promised else few_images(used, pooling, min_area, part)
    limit, scorer, how = (
        _of_images(used, rates.image, part, pooling, min_area)
        if few is None
        else _of_few_images(used, few, rates.image)
    )
    thresholds = Thresholds(
        limit, conformal(np.concatenate(pixels), rates.pixel), scorer.core(limit)
    )
    names = [each.name for each in (held if overfitting is None else maps)]
    record |= how | {"pooling": scorer.pooling, "highest": _highest(scorer, used, names)}
    record["pixel"] = achieved(pixels, rates.pixel)
    others = rate_curves(used, unseen, scorer, part, lowest, few) if curves else None
    return Calibration(thresholds, scorer, record, others)


def _highest(
    scorer: ImageScorer, used: Sequence[np.ndarray], names: Sequence[str]
) -> list[dict[str, Any]]:
    """The normal images that score highest, by their names."""
    scores = np.array([scorer(values) for values in used])
    order = np.argsort(-scores, kind="stable")[:_HIGHEST]
    return [{"image": names[number], "score": float(scores[number])} for number in order]


def _of_images(
    used: Sequence[np.ndarray], rate: float, part: float, pooling: str, min_area: int
) -> tuple[float, ImageScorer, dict[str, Any]]:
    """The threshold of whole images, what scores them, and `rule` and `tail` of the record."""
    scorer = fitted(pooling, min_area, used)
    scores = np.array([scorer(values) for values in used])
    limit = conformal(scores, 1 - (1 - rate) ** part)
    return limit, scorer, {"rule": "conformal", "tail": None}


def _of_few_images(
    used: Sequence[np.ndarray], few: FewImages, rate: float
) -> tuple[float, ImageScorer, dict[str, Any]]:
    """The same where they are too few for the rate."""
    if rate > 0 and few.modelled:
        scorer = few.scorer(rate)
        how = {"rule": "extrapolated", "tail": few.check()}
        return few.threshold(scorer, rate), scorer, how
    scorer = fitted(few.pooling, few.min_area, used)
    return max(scorer(values) for values in used), scorer, {"rule": "highest", "tail": None}
