"""Which threshold belongs to which rate of false alarms, for whoever wants to try others."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from semad.scoring.extrapolation import FewImages
from semad.scoring.image_scores import ImageScorer
from semad.scoring.thresholds import conformal, conformal_rank

CONFORMAL, EXTRAPOLATED, HIGHEST, BEYOND = "conformal", "extrapolated", "highest", "beyond"
"""Rules: the first two keep a rate. No rate is known of the highest normal score, and of levels
beyond it."""

IMAGE_RATES = (
    *(0.5, 0.4, 0.3, 0.2, 0.15, 0.1, 0.07, 0.05, 0.03, 0.02, 0.01, 0.007, 0.005, 0.003, 0.002),
    0.001,
)
PIXEL_RATES = (
    *(0.3, 0.2, 0.15, 0.1, 0.07, 0.05, 0.03, 0.02, 0.015, 0.01, 0.007, 0.005, 0.003, 0.002),
    *(0.001, 5e-4, 2e-4, 1e-4),
)
_BEYOND = 6
"""Levels above the highest normal score, where nothing can be extrapolated."""


class Setting(NamedTuple):
    """A threshold, and what is known of it.

    Attributes:
      threshold: of images' scores, or of a map.
      rate: of false positives that it is calibrated to; None where none is known.
      rule: `conformal`, `extrapolated`, `highest` or `beyond`.
    """

    threshold: float
    rate: float | None
    rule: str


class RateCurves(NamedTuple):
    """Settings for whole images and for pixels, the lowest threshold first."""

    image: tuple[Setting, ...]
    pixel: tuple[Setting, ...]


def rate_curves(
    scores: np.ndarray,
    unseen: Sequence[np.ndarray],
    scorer: ImageScorer,
    few: FewImages,
    lowest: float,
) -> RateCurves:
    """The curves of normal images.

    Args:
      scores: of each, that thresholds of images come from.
      unseen: maps, or parts of them, that thresholds of pixels come from.
      scorer: of images.
      few: the images, to extrapolate from.
      lowest: rate of whole images that so many can promise.
    """
    kept = [rate for rate in IMAGE_RATES if rate >= lowest]
    settings = [
        Setting(conformal(scores, 1 - (1 - rate) ** few.part), rate, CONFORMAL) for rate in kept
    ]
    lower = [rate for rate in IMAGE_RATES if rate < lowest]
    if few.models:
        settings += [Setting(few.threshold(scorer, rate), rate, EXTRAPOLATED) for rate in lower]
    else:
        settings += _beyond(scores)
    return RateCurves(_rising(settings), _of_pixels(unseen))


def _beyond(scores: np.ndarray) -> list[Setting]:
    highest = float(scores.max())
    step = (highest - float(np.median(scores))) / 2
    return [Setting(highest + step * number, None, BEYOND) for number in range(1, _BEYOND + 1)]


def _of_pixels(maps: Sequence[np.ndarray]) -> tuple[Setting, ...]:
    """Split-conformal, as `semad.scoring.thresholds.conformal`, in a single pass."""
    pixels = np.concatenate([values.ravel() for values in maps])
    rates = [rate for rate in PIXEL_RATES if rate >= 1 / (pixels.size + 1)]
    ranks = [conformal_rank(pixels.size, rate) for rate in rates]
    pixels.partition(ranks)
    pairs = zip(pixels[ranks].tolist(), rates, strict=True)
    return _rising(Setting(level, rate, CONFORMAL) for level, rate in pairs)


def _rising(settings: Iterable[Setting]) -> tuple[Setting, ...]:
    """Those whose threshold rises as the rate falls; of equal thresholds the lowest promised."""
    kept: list[Setting] = []
    for setting in settings:
        if kept and setting.threshold == kept[-1].threshold and setting.rule == CONFORMAL:
            kept[-1] = setting
        elif not kept or setting.threshold > kept[-1].threshold:
            kept.append(setting)
    return tuple(kept)


def with_setting(curve: Sequence[Setting], used: Setting) -> tuple[Setting, ...]:
    """The curve with the threshold in use; without others that would contradict it.

    An extrapolated threshold may lie below one that normal images promise for a higher rate.
    """
    rate = used.rate
    higher = [
        s for s in curve if s.threshold < used.threshold and (rate is None or (s.rate or 0) > rate)
    ]
    lower = [
        s for s in curve if s.threshold > used.threshold and (rate is None or (s.rate or 0) < rate)
    ]
    return (*higher, used, *lower)
