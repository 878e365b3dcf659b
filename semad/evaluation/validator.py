"""Ranks settings of a detector without a label: by the synthetic defects that its maps find."""

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import NamedTuple

import numpy as np
from sklearn import metrics

from semad.evaluation.synthetic import FAMILIES, plant
from semad.scoring.maps import Maps, smooth
from semad.scoring.regions import POOLINGS, image_score

SELECTIONS = ("none", "synthetic")
"""`config.select`: as `config.score` says, or what finds synthetic defects best."""

SMOOTHINGS = (0.0, 1.0, 2.0, 4.0, 6.0, 8.0, 12.0)
"""σ in pixels, among which there is a choice."""

DEFECT_SIZE = 32
"""Pixels that the defects' sizes are shares of, whatever the patches of the system."""

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
      value: the weighted mean over families, without those that the system practised.
      families: average precision of the pixels, by family.
    """

    setting: Setting
    value: float
    families: dict[str, float]


class Ranking(NamedTuple):
    """What the validator found.

    Attributes:
      settings: the best first.
      poolings: how well an image's score, pooled so from the best setting's map, tells images with
        planted defects from those without: AUROC by name of the pooling.
    """

    settings: list[Ranked]
    poolings: dict[str, float]


Mapper = Callable[[Sequence[np.ndarray]], Iterable[Maps]]
"""Images -> their maps, in order."""


def rank(
    mapper: Mapper,
    normal: Sequence[np.ndarray],
    *,
    smoothings: Iterable[float] = SMOOTHINGS,
    practised: Collection[str] = (),
    min_area: int = 20,
    seed: int = 0,
) -> Ranking:
    """Ranks every score at every smoothing, and the poolings of the best.

    The measure is the average precision of pixels, for each family over all images together, since
    an engineer looks at what stands highest.

    Args:
      mapper: makes the maps, without smoothing.
      normal: images that training has not seen, (H, W, C) each.
      smoothings: σ in pixels to try.
      practised: families that do not count; see `semad.types.Method`.
      min_area: of the pooling, see `semad.scoring.regions.image_score`.
      seed: of the defects.
    """
    size = min(DEFECT_SIZE, *(side for image in normal for side in image.shape[:2]))
    planted = plant(normal, size, seed)
    images = [one.image for one in planted]
    maps = list(mapper([*images, *normal]))
    maps, clean = maps[: len(images)], maps[len(images) :]
    masks = {name: [one.mask for one in planted if one.family == name] for name in FAMILIES}
    groups = {
        name: [values for one, values in zip(planted, maps, strict=True) if one.family == name]
        for name in FAMILIES
    }
    weights = {name: 0.0 if name in practised else weight for name, weight in WEIGHTS.items()}
    settings = [
        _rank(Setting(score, sigma), groups, masks, weights)
        for score in maps[0]
        for sigma in smoothings
    ]
    settings.sort(key=lambda one: -one.value)
    kept = [values for one, values in zip(planted, maps, strict=True) if weights[one.family]]
    return Ranking(settings, _poolings(settings[0].setting, kept, clean, min_area))


def _rank(
    setting: Setting,
    groups: dict[str, list[Maps]],
    masks: dict[str, list[np.ndarray]],
    weights: dict[str, float],
) -> Ranked:
    families = {}
    for name, maps in groups.items():
        values = [smooth(one[setting.score], setting.smoothing).ravel() for one in maps]
        labels = np.concatenate([mask.ravel() for mask in masks[name]])
        families[name] = float(metrics.average_precision_score(labels, np.concatenate(values)))
    value = np.average(list(families.values()), weights=[weights[name] for name in families])
    return Ranked(setting, float(value), families)


def _poolings(
    setting: Setting, planted: Sequence[Maps], clean: Sequence[Maps], min_area: int
) -> dict[str, float]:
    maps = [smooth(one[setting.score], setting.smoothing) for one in (*planted, *clean)]
    labels = np.arange(len(maps)) < len(planted)
    return {
        how: float(metrics.roc_auc_score(labels, [image_score(one, how, min_area) for one in maps]))
        for how in POOLINGS
    }
