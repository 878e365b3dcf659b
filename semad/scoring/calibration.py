"""Thresholds from normal images: of pixels from unseen ones, of whole images from all.

Held-out images alone promise little: twelve of sixty cannot promise a rate of 5 %. So the images
that were trained on join them, with scores as they would be had training not seen them.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from semad.scoring.extrapolation import FewImages, few_images, have_spread
from semad.scoring.image_scores import ImageScorer, fitted, levels_of
from semad.scoring.overfitting import NormalMap, as_if_unseen, measure
from semad.scoring.rate_curves import (
    CONFORMAL,
    EXTRAPOLATED,
    HIGHEST,
    RateCurves,
    rate_curves,
)
from semad.scoring.thresholds import Rates, Thresholds, achieved, conformal

VERSION = 4
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
    score, where not even that is possible; `several` becomes `max` where images are too few to say
    how the other of its scores varies. The threshold of pixels is the quantile of unseen ones,
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
      nothing), `rule` (`conformal`, `extrapolated` or `highest`), `pooling`, `models` (of
      the tail of scores, by pooling; None unless extrapolated), `highest` (`image` and `score` of
      the normal images that score highest, as far as names are known), `seen` (see
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
    if pooling == "several" and not promised and not have_spread(len(used), part):
        pooling = "max"
    levels = levels_of(used, pooling, min_area)
    few = None
    if curves or not promised:
        few = few_images(used, levels, pooling, min_area, part)
    limit, scorer, how = _of_images(
        levels, None if promised else few, rates.image, part, pooling, min_area
    )
    thresholds = Thresholds(
        limit, conformal(np.concatenate(pixels), rates.pixel), scorer.core(limit)
    )
    scores = scorer.of_levels(levels)
    names = [each.name for each in (held if overfitting is None else maps)]
    record |= how | {"pooling": pooling, "highest": _highest(scores, names)}
    record["pixel"] = achieved(pixels, rates.pixel)
    others = rate_curves(scores, unseen, scorer, few, lowest) if few and curves else None
    return Calibration(thresholds, scorer, record, others)


def _highest(scores: np.ndarray, names: Sequence[str]) -> list[dict[str, Any]]:
    """The normal images that score highest, by their names."""
    order = np.argsort(-scores, kind="stable")[:_HIGHEST]
    rows = [{"image": names[number], "score": float(scores[number])} for number in order]
    return [row for row in rows if row["image"]]


def _of_images(
    levels: np.ndarray,
    few: FewImages | None,
    rate: float,
    part: float,
    pooling: str,
    min_area: int,
) -> tuple[float, ImageScorer, dict[str, Any]]:
    """The threshold of whole images, what scores them, and `rule`, `models` and `tail`.

    Args:
      levels: of normal images.
      few: the same, where they are too few for the rate.
      rate: of false positives.
      part: of a whole image that each is.
      pooling, min_area: of scores.
    """
    if few is not None and rate > 0 and (models := few.models):
        scorer = few.scorer(rate)
        how = {"rule": EXTRAPOLATED, "models": models, "tail": few.check()}
        return few.threshold(scorer, rate), scorer, how
    scorer = fitted(pooling, min_area, levels)
    scores = scorer.of_levels(levels)
    rule = CONFORMAL if few is None else HIGHEST
    limit = conformal(scores, 1 - (1 - rate) ** part) if few is None else float(scores.max())
    return limit, scorer, {"rule": rule, "models": None, "tail": None}
