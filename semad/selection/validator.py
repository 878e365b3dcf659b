"""Ranks settings of a detector without a label: by the synthetic defects that its maps find."""

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

import numpy as np
from sklearn import metrics
from tqdm import tqdm

from semad.metrics.ranking import auroc_error
from semad.scoring.image_scores import POOLINGS, fitted, levels_of
from semad.scoring.kept_maps import Mapper, map_and_keep
from semad.scoring.maps import Maps, smooth
from semad.scoring.regions import connected_to
from semad.scoring.thresholds import conformal
from semad.scoring.unfinished import KEEP_NOTHING, Unfinished
from semad.synthetic.planted import COVERAGE, FAMILIES, Planted, plant
from semad.utils.eta import BAR_DELAY

SMOOTHINGS = (0.0, 1.0, 2.0, 4.0, 6.0, 8.0, 12.0)
"""σ in pixels, among which there is a choice."""

DEFECT_SIZE = 32
"""Pixels that the defects' sizes are shares of, whatever the patches of the system."""

LARGE = 0.5
"""The same of large defects, as a share of an image's shorter side."""

PIXEL_RATES = (0.05, 0.02, 0.01, 0.005, 0.002, 0.001)
"""Of false positives among pixels, among which there is a choice: how far outlines reach."""

PIXELS, IMAGES, SIDE = 2**22, 256, 1024
"""How many pixels and images are tried at most, and of an image at most so many rows and columns:
a ranking needs no more, and takes as long for five hundred images as for five."""

WEIGHTS = dict.fromkeys(FAMILIES, 1.0) | {"blur": 0.25}
"""Blur is what a defect looks like least: an earlier search found on NanoTWICE's labels that it
overrates. This one weight, then, was not chosen without labels."""

_PREFERRED = "several"
"""The pooling for specks and for large regions; see `Poolings`."""


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
      value: the weighted mean over families, without those excluded for the system.
      families: average precision of the pixels, by family.
    """

    setting: Setting
    value: float
    families: dict[str, float]


class Trial(NamedTuple):
    """Normal images with planted defects, and the maps that a detector makes of them.

    Attributes:
      planted: the images, each once with each family.
      maps: of the planted ones.
      clean: maps of the normal ones.
    """

    planted: list[Planted]
    maps: list[Maps]
    clean: list[Maps]


class Poolings(NamedTuple):
    """What planted defects say of poolings.

    Attributes:
      chosen: `several`, since real defects may be smaller and larger than planted ones, unless the
        best is better by more than its standard error, as if images were independent (after the
        rule of Breiman et al. 1984).
      aurocs: by name.
    """

    chosen: str
    aurocs: dict[str, float]


def try_on(
    mapper: Mapper,
    normal: Sequence[np.ndarray],
    seed: int = 0,
    coverage: float = COVERAGE,
    *,
    large: bool = False,
    label: str = "",
    unfinished: Unfinished = KEEP_NOTHING,
) -> Trial:
    """Maps of normal images with and without defects; of many pixels, an even share.

    Args:
      mapper: makes the maps, without smoothing.
      normal: images that training has not seen, (H, W, C) each.
      seed: of the defects.
      coverage: of an image by its defects, see `semad.synthetic.planted.plant`.
      large: whether every other image has large defects.
      label, unfinished: see `semad.scoring.kept_maps.map_and_keep`.
    """
    normal = thin(normal)
    shortest = min(side for image in normal for side in image.shape[:2])
    size = min(DEFECT_SIZE, shortest)
    sizes = [size, max(size, round(LARGE * shortest))] if large else [size]
    planted = plant(normal, sizes, seed, coverage)
    images = [*(defects.image for defects in planted), *normal]
    maps = map_and_keep(mapper, images, label, unfinished)
    return Trial(planted, maps[: len(planted)], maps[len(planted) :])


def thin(normal: Sequence[np.ndarray]) -> list[np.ndarray]:
    """As many images, evenly spread, as `PIXELS` allow, of large ones a corner."""
    corners = [image[:SIDE, :SIDE] for image in normal]
    largest = max(image.shape[0] * image.shape[1] for image in corners)
    count = max(1, min(len(corners), IMAGES, PIXELS // largest))
    return [corners[i] for i in np.linspace(0, len(corners) - 1, count, dtype=int)]


def rank(
    trial: Trial,
    *,
    smoothings: Iterable[float] = SMOOTHINGS,
    excluded_families: Collection[str] = (),
) -> list[Ranked]:
    """Every score at every smoothing, the best first.

    The measure is the average precision of pixels, for each family over all images together, since
    an engineer looks at what stands highest.

    Args:
      trial: of the detector.
      smoothings: σ in pixels to try.
      excluded_families: families that do not count; see `semad.types.Method`.
    """
    pairs = list(zip(trial.planted, trial.maps, strict=True))
    groups = {
        name: [maps for planted, maps in pairs if planted.family == name] for name in FAMILIES
    }
    masks = {
        name: [planted.mask for planted, _ in pairs if planted.family == name] for name in FAMILIES
    }
    weights = {
        name: 0.0 if name in excluded_families else weight for name, weight in WEIGHTS.items()
    }
    candidates = [Setting(score, sigma) for score in trial.maps[0] for sigma in smoothings]
    bar = tqdm(candidates, "ranking settings", unit="setting", leave=False, delay=BAR_DELAY)
    settings = [_rank(setting, groups, masks, weights) for setting in bar]
    return sorted(settings, key=lambda ranked: -ranked.value)


def _rank(
    setting: Setting,
    groups: dict[str, list[Maps]],
    masks: dict[str, list[np.ndarray]],
    weights: dict[str, float],
) -> Ranked:
    families = {}
    for name, maps in groups.items():
        values = [smooth(scores[setting.score], setting.smoothing).ravel() for scores in maps]
        labels = np.concatenate([mask.ravel() for mask in masks[name]])
        families[name] = float(metrics.average_precision_score(labels, np.concatenate(values)))
    value = np.average(list(families.values()), weights=[weights[name] for name in families])
    return Ranked(setting, float(value), families)


def rank_poolings(
    trial: Trial, setting: Setting, min_area: int, excluded_families: Collection[str] = ()
) -> Poolings:
    """How well an image's score, pooled so from its map, tells planted images from normal ones.

    Args:
      trial: of the detector, with one defect in each image, small or large: by how much of a large
        image is covered a mean could tell it.
      setting: of the map.
      min_area: see `semad.scoring.image_scores.pooled`.
      excluded_families: families that do not count.
    """
    pairs = zip(trial.planted, trial.maps, strict=True)
    kept = [maps for planted, maps in pairs if planted.family not in excluded_families]
    planted, clean = (
        [smooth(scores[setting.score], setting.smoothing) for scores in part]
        for part in (kept, trial.clean)
    )
    labels = np.arange(len(planted) + len(clean)) < len(planted)
    aurocs = {}
    for how in POOLINGS:
        levels = levels_of([*planted, *clean], how, min_area)
        scores = fitted(how, min_area, levels[~labels]).of_levels(levels)
        aurocs[how] = float(metrics.roc_auc_score(labels, scores))
    best = max(POOLINGS, key=lambda how: aurocs[how])
    # Of a perfect ranking the formula says 0: a single wrong pair of two is then counted.
    highest = 1 - 1 / (2 * len(planted) * len(clean))
    error = auroc_error(min(aurocs[best], highest), len(planted), len(clean))
    beaten = aurocs[_PREFERRED] < aurocs[best] - error
    return Poolings(best if beaten else _PREFERRED, aurocs)


def rank_pixel_rates(
    trial: Trial, setting: Setting, excluded_families: Collection[str] = ()
) -> dict[float, float]:
    """How well outlines fit the planted defects, by the rate of the pixels' threshold.

    Args:
      trial: of the detector.
      setting: of the map.
      excluded_families: families that do not count.

    Returns:
      For each of `PIXEL_RATES` the mean over planted images of the intersection over union of the
      defects with the regions above the threshold that touch one.
    """
    clean = np.concatenate(
        [smooth(maps[setting.score], setting.smoothing).ravel() for maps in trial.clean]
    )
    levels = {rate: conformal(clean, rate) for rate in PIXEL_RATES}
    overlaps: dict[float, list[float]] = {rate: [] for rate in PIXEL_RATES}
    for planted, maps in zip(trial.planted, trial.maps, strict=True):
        if planted.family in excluded_families:
            continue
        values = smooth(maps[setting.score], setting.smoothing)
        for rate, level in levels.items():
            outlined = connected_to(values > level, planted.mask)
            shared = (outlined & planted.mask).sum()
            overlaps[rate].append(float(shared / (outlined | planted.mask).sum()))
    return {rate: float(np.mean(values)) for rate, values in overlaps.items()}
