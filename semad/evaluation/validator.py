"""Ranks settings of a detector without a label: by the synthetic defects that its maps find."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from sklearn import metrics

from semad.evaluation.synthetic import FAMILIES, plant
from semad.scoring.batched import Scorer, Scoring
from semad.scoring.maps import Maps, map_images, smooth

SMOOTHINGS = (0.0, 1.0, 2.0, 4.0, 6.0, 8.0, 12.0)
"""σ in pixels, among which there is a choice."""

WEIGHTS = dict.fromkeys(FAMILIES, 1.0) | {"blur": 0.25}
"""Blur is what a defect looks like least: trials on NanoTWICE's labels found it overrated."""


class Setting(NamedTuple):
    """One way to make a map.

    Attributes:
      score: by name.
      smoothing: σ in pixels of a Gaussian filter.
    """

    score: str
    smoothing: float


class Ranked(NamedTuple):
    """How well a setting finds the synthetic defects.

    Attributes:
      setting: which.
      value: the weighted mean over families.
      families: average precision of the pixels, by family.
    """

    setting: Setting
    value: float
    families: dict[str, float]


def rank_settings(
    scorer: Scorer,
    member: Scoring,
    normal: Sequence[np.ndarray],
    *,
    patch_size: int,
    stride: int,
    chunk: int,
    smoothings: Iterable[float] = SMOOTHINGS,
    seed: int = 0,
) -> list[Ranked]:
    """Every score at every smoothing, the best first.

    The measure is the average precision of pixels, for each family over all images together, since
    an engineer looks at what stands highest.

    Args:
      scorer: of `make_scorer`, with maps.
      member: whose weights.
      normal: images that training has not seen, (H, W, C) each.
      patch_size, stride, chunk: see `semad.scoring.maps.anomaly_maps`.
      smoothings: σ in pixels to try.
      seed: of the defects.
    """
    planted = plant(normal, patch_size, seed)
    images = [one.image for one in planted]
    settings = {"patch_size": patch_size, "stride": stride, "chunk": chunk}
    maps = list(map_images(scorer, member, images, **settings))
    masks = {name: [one.mask for one in planted if one.family == name] for name in FAMILIES}
    groups = {
        name: [values for one, values in zip(planted, maps, strict=True) if one.family == name]
        for name in FAMILIES
    }
    ranked = [
        _rank(Setting(score, sigma), groups, masks) for score in maps[0] for sigma in smoothings
    ]
    return sorted(ranked, key=lambda one: -one.value)


def _rank(
    setting: Setting, groups: dict[str, list[Maps]], masks: dict[str, list[np.ndarray]]
) -> Ranked:
    families = {}
    for name, maps in groups.items():
        values = [smooth(one[setting.score], setting.smoothing).ravel() for one in maps]
        labels = np.concatenate([mask.ravel() for mask in masks[name]])
        families[name] = float(metrics.average_precision_score(labels, np.concatenate(values)))
    weights = [WEIGHTS[name] for name in families]
    return Ranked(setting, float(np.average(list(families.values()), weights=weights)), families)
