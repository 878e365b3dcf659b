"""Pixel metrics: ROC, precision and recall, region overlap, coverage, and intervals over images.

Scores of pixels are counted in bins, image by image, finely enough that a figure differs from that
of the raw scores by less than 1e-3; so memory does not grow with what is computed of them, and a
bootstrap over images only adds rows.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy import ndimage
from sklearn import metrics
from tqdm import trange

from semad.metrics.ranking import RANKING, ranking
from semad.scoring.regions import TOUCHING
from semad.scoring.thresholds import CONFIDENCE
from semad.utils.arrays import read_arrays, write_arrays
from semad.utils.eta import BAR_DELAY

BINS = 4096
RESAMPLES = 200
FALSE_POSITIVE_RATE = 0.05
"""At which the true-positive rate is reported."""
OVERLAP_LIMIT = 0.3
"""Up to which false-positive rate the per-region overlap is averaged (Bergmann et al. 2020)."""


class Counts(NamedTuple):
    """Pixels per image and bin, bins in ascending order of score.

    Attributes:
      normal, anomalous: int64 (images, bins).
      overlap: (images, bins), summed over an image's defects, the share of the defect in the bin.
      defects: int64 (images,), connected anomalous regions.
      edges: between the bins, (bins - 1,).
    """

    normal: np.ndarray
    anomalous: np.ndarray
    overlap: np.ndarray
    defects: np.ndarray
    edges: np.ndarray


def bin_edges(maps: Sequence[np.ndarray], masks: Sequence[np.ndarray]) -> np.ndarray:
    """Edges between bins: quantiles of all scores, and as many of the anomalous ones.

    A defect's pixels are few; by their own quantiles precision and recall stay exact enough.
    """
    everything = np.concatenate([values.ravel() for values in maps])
    anomalous = np.concatenate([values[mask] for values, mask in zip(maps, masks, strict=True)])
    shares = np.linspace(0, 1, BINS // 2 + 1)[1:-1]
    groups = [np.quantile(part, shares) for part in (everything, anomalous) if part.size]
    return np.unique(np.concatenate(groups))


def count(
    maps: Sequence[np.ndarray], masks: Sequence[np.ndarray], threshold: float | None = None
) -> Counts:
    """Counts the pixels of score maps (H, W) under masks (H, W), True where anomalous.

    A threshold is an edge of its own, so that counts above it are exact.
    """
    edges = bin_edges(maps, masks)
    if threshold is not None:
        edges = np.unique(np.append(edges, np.nextafter(threshold, np.inf)))
    rows = [
        _count_one(np.searchsorted(edges, values, side="right"), mask, len(edges) + 1)
        for values, mask in zip(maps, masks, strict=True)
    ]
    normal, anomalous, overlap, defects = (np.stack(column) for column in zip(*rows, strict=True))
    return Counts(normal, anomalous, overlap, defects, edges)


def _count_one(
    bins: np.ndarray, mask: np.ndarray, total: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    regions, defects = ndimage.label(mask, TOUCHING)
    inside, region = bins[mask], regions[mask]
    sizes = np.bincount(region, minlength=defects + 1)
    overlap = np.bincount(inside, 1 / sizes[region], minlength=total)
    normal, anomalous = (np.bincount(part, minlength=total) for part in (bins[~mask], inside))
    return normal, anomalous, overlap, defects


def save(path: Path, ids: Sequence[str], counts: dict[str, Counts]) -> None:
    """Writes counts as arrays `<name>/<field>`, with the images' names as `image_ids`.

    For raw scores of pixels each member would take as much room as all test images together.
    """
    arrays = {
        f"{name}/{field}": values
        for name, binned in counts.items()
        for field, values in binned._asdict().items()
    }
    write_arrays(path, {"image_ids": np.array(ids)} | arrays)


def load(path: Path) -> dict[str, Counts]:
    """What `save` wrote: name -> Counts.

    Raises:
      UserError: when it is damaged.
    """
    arrays = read_arrays(path)
    names = dict.fromkeys(key.rpartition("/")[0] for key in arrays if "/" in key)
    return {
        name: Counts(*(arrays[f"{name}/{field}"] for field in Counts._fields)) for name in names
    }


class Curve(NamedTuple):
    """Labels (N,), True where anomalous, scores (N,), and how often each pair counts."""

    labels: np.ndarray
    scores: np.ndarray
    weights: np.ndarray | None = None


def curve(counts: Counts) -> Curve:
    """All images together, scores by the numbers of their bins."""
    parts = counts.normal.sum(axis=0), counts.anomalous.sum(axis=0)
    size = len(parts[0])
    labels, scores = np.repeat([False, True], size), np.tile(np.arange(size), 2)
    weights = np.concatenate(parts)
    kept = weights > 0
    return Curve(labels[kept], scores[kept], weights[kept])


def _tpr_at_fpr(counts: Counts) -> float:
    """The true-positive rate at `FALSE_POSITIVE_RATE`."""
    labels, scores, weights = curve(counts)
    wrong, right, _ = metrics.roc_curve(labels, scores, sample_weight=weights)
    return np.interp(FALSE_POSITIVE_RATE, wrong, right)


def _region_overlap(counts: Counts) -> float:
    """The mean over defects of the share found, averaged over false-positive rates up to 0.3."""
    normal, overlap = (part.sum(axis=0)[::-1] for part in (counts.normal, counts.overlap))
    wrong = np.append(0, np.cumsum(normal)) / normal.sum()
    covered = np.append(0, np.cumsum(overlap)) / counts.defects.sum()
    inside = wrong <= OVERLAP_LIMIT
    last = np.interp(OVERLAP_LIMIT, wrong, covered)
    area = metrics.auc(np.append(wrong[inside], OVERLAP_LIMIT), np.append(covered[inside], last))
    return area / OVERLAP_LIMIT


OF_PIXELS: dict[str, Callable[[Counts], float]] = {
    "tpr_at_fpr": _tpr_at_fpr,
    "region_overlap": _region_overlap,
}
"""Metrics of maps alone; a new one is an entry here."""


def pixel_metric_names() -> tuple[str, ...]:
    """Every metric of maps that needs no threshold."""
    return (*RANKING, *OF_PIXELS)


def pixel_metrics(counts: Counts) -> dict[str, float | None]:
    """AUROC, average precision, TPR at 5 % FPR, and the per-region overlap up to FPR 0.3.

    None for each, where only one class is present.
    """
    labels, scores, weights = curve(counts)
    if labels.all() or not labels.any():
        return dict.fromkeys(pixel_metric_names())
    of_maps = {name: float(metric(counts)) for name, metric in OF_PIXELS.items()}
    return ranking(labels, scores, weights) | of_maps


def intervals(counts: Counts, seed: int) -> dict[str, list[float] | None]:
    """95 % bootstrap intervals of `pixel_metrics`, over images drawn with replacement.

    None for each, where there is a single image.
    """
    rng = np.random.default_rng(seed)
    images = len(counts.defects)
    if images < 2:
        return dict.fromkeys(pixel_metric_names())
    samples = []
    for _ in trange(RESAMPLES, desc="bootstrap over images", leave=False, delay=BAR_DELAY):
        rows = rng.integers(0, images, images)
        normal, anomalous, overlap, defects = (part[rows] for part in counts[:-1])
        drawn = Counts(normal, anomalous, overlap, defects, counts.edges)
        samples.append(pixel_metrics(drawn))
    tails = ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2)
    result: dict[str, Any] = {}
    for name in samples[0]:
        values = [value for sample in samples if (value := sample[name]) is not None]
        result[name] = [float(np.quantile(values, tail)) for tail in tails] if values else None
    return result


def coverage(values: np.ndarray, mask: np.ndarray, threshold: float) -> np.ndarray:
    """The share of each connected defect whose score exceeds the threshold: (defects,)."""
    regions, defects = ndimage.label(mask, TOUCHING)
    sizes = np.bincount(regions[mask], minlength=defects + 1)[1:]
    covered = np.bincount(regions[mask & (values > threshold)], minlength=defects + 1)[1:]
    return covered / sizes
