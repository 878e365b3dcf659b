"""Is one system better than another? Seeds and images are the units, and comparisons are paired.

A figure of a system is a mean over its seeds, taken on a finite set of test images. Both could have
been others: seeds by the standard deviation between them, images by a bootstrap that draws whole
images with replacement (tiles of one image resemble each other, so they are no units). The two
parts of a difference's variance are added, and its interval is Student's with the degrees of
freedom of Satterthwaite (1946). What seeds and images do together is counted in both parts, so the
interval is a little too wide rather than too narrow.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse, stats
from tqdm import tqdm

from semad.errors import UserError
from semad.metrics.pixels import bin_edges
from semad.metrics.ranking import metric_names, of_confusion, ranking
from semad.scoring.thresholds import CONFIDENCE
from semad.utils.eta import BAR_DELAY

RESAMPLES = 400


class BinnedScores(NamedTuple):
    """Scores of one member on the test data, counted by image and bin, bins by ascending score.

    Attributes:
      normal, anomalous: (images, bins), how many items or pixels.
      limit: the first bin above the threshold.
    """

    normal: sparse.csr_array
    anomalous: sparse.csr_array
    limit: int


class ComparedSystem(NamedTuple):
    """A system, or a variant of one: the scores of each of its seeds, in the seeds' order.

    `fixed` is for what no seed changes, such as a baseline.
    """

    name: str
    binned: Sequence[BinnedScores]
    fixed: bool = False


def bin_scores(
    scores: np.ndarray, labels: np.ndarray, images: np.ndarray, threshold: float
) -> BinnedScores:
    """Counts items.

    Args:
      scores: (N,).
      labels: bool (N,), True where anomalous.
      images: which image each item is of, (N,), from 0 on; in one-vs-rest sets each its own.
      threshold: an item above it is called anomalous.
    """
    # The threshold is an edge of its own, so that counts above it are exact.
    edges = np.unique(np.append(bin_edges([scores], [labels]), np.nextafter(threshold, np.inf)))
    bins = np.searchsorted(edges, scores, side="right")
    shape = (int(images.max()) + 1, len(edges) + 1)
    normal, anomalous = (
        sparse.csr_array((np.ones(part.sum()), (images[part], bins[part])), shape)
        for part in (~labels, labels)
    )
    return BinnedScores(normal, anomalous, int(np.searchsorted(edges, threshold, side="right")) + 1)


def from_bins(
    normal: np.ndarray, anomalous: np.ndarray, edges: np.ndarray, threshold: float
) -> BinnedScores:
    """The same of pixels that were counted before, (images, bins) with `edges` between the bins."""
    limit = int(np.searchsorted(edges, threshold, side="right")) + 1
    return BinnedScores(sparse.csr_array(normal), sparse.csr_array(anomalous), limit)


def draws(images: int, seed: int) -> np.ndarray:
    """How often each image is drawn in each resample, (RESAMPLES, images)."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(images, np.full(images, 1 / images), RESAMPLES)


def weighted_metrics(binned: BinnedScores, weights: np.ndarray) -> list[float]:
    """The metrics of `metric_names` with images weighted, (images,).

    NaN where one class is missing, 0 for 0 / 0.
    """
    normal, anomalous = (weights @ part for part in (binned.normal, binned.anomalous))
    if not normal.sum() or not anomalous.sum():
        return [math.nan] * len(metric_names())
    counts = np.concatenate([normal, anomalous])
    kept = counts > 0
    labels = np.repeat([False, True], len(normal))[kept]
    bins, counts = np.tile(np.arange(len(normal)), 2)[kept], counts[kept]
    parts = [part for side in (normal, anomalous) for part in np.split(side, [binned.limit])]
    values = ranking(labels, bins, counts) | of_confusion([part.sum() for part in parts])
    return [math.nan if (value := values[name]) is None else value for name in metric_names()]


class Sampled(NamedTuple):
    """Metrics of a system.

    Attributes:
      values: on the test images, (seeds, F).
      samples: on every resample of them, (R, seeds, F).
      images: how many there are.
      fixed: see `ComparedSystem`.
    """

    values: np.ndarray
    samples: np.ndarray
    images: int
    fixed: bool


def sample(system: ComparedSystem, weights: np.ndarray) -> Sampled:
    """All figures of all seeds, on the test images and on every resample of `draws`."""
    once = np.ones(weights.shape[1])
    values = np.array([weighted_metrics(binned, once) for binned in system.binned])
    bar = tqdm(weights, f"bootstrap, {system.name}", leave=False, delay=BAR_DELAY)
    samples = np.array([[weighted_metrics(one, row) for one in system.binned] for row in bar])
    return Sampled(values, samples, weights.shape[1], system.fixed)


def difference(system: Sampled, reference: Sampled) -> list[dict[str, Any]]:
    """system − reference on the same resamples: `value`, `interval` and two-sided `p` per metric.

    Seed i is compared with seed i where both have as many: they share initial weights and batches.
    """
    count, means = len(system.values), system.samples.mean(axis=1) - reference.samples.mean(axis=1)
    if count == len(reference.values) and not system.fixed and not reference.fixed:
        by_seed = _variance(system.values - reference.values)
    else:
        by_seed = sum(
            (_variance(part.values) for part in (system, reference) if not part.fixed),
            np.zeros(system.values.shape[1]),
        )
    by_image = np.nanvar(means, axis=0, ddof=1)
    value = system.values.mean(axis=0) - reference.values.mean(axis=0)
    return [
        _student(*parts, seeds=count, images=system.images)
        for parts in zip(value.tolist(), by_seed.tolist(), by_image.tolist(), strict=True)
    ]


def _variance(values: np.ndarray) -> np.ndarray:
    """Of the mean over seeds, (F,); NaN of a single seed, which says nothing of it."""
    if len(values) < 2:
        return np.full(values.shape[1], np.nan)
    return values.var(axis=0, ddof=1) / len(values)


def _student(
    value: float, by_seed: float, by_image: float, seeds: int, images: int
) -> dict[str, Any]:
    total = by_seed + by_image
    if math.isnan(total) or images < 2:  # one seed, or one image, says nothing of others
        return {"value": value, "interval": None, "p": None}
    if total == 0:
        return {"value": value, "interval": [value, value], "p": float(value == 0)}
    freedom = total**2 / (by_seed**2 / max(1, seeds - 1) + by_image**2 / (images - 1))
    error = math.sqrt(total)
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, freedom)) * error
    p = 2 * float(stats.t.sf(abs(value) / error, freedom))
    return {"value": value, "interval": [value - half, value + half], "p": p}


def holm(values: Sequence[float]) -> list[float]:
    """P-values adjusted for being several (Holm 1979), in the given order."""
    adjusted, highest = [0.0] * len(values), 0.0
    for rank, number in enumerate(np.argsort(values)):
        highest = max(highest, min(1.0, (len(values) - rank) * values[number]))
        adjusted[number] = highest
    return adjusted


def compare(
    systems: Sequence[ComparedSystem], reference: str, seed: int = 0
) -> list[dict[str, Any]]:
    """A row per system, in the given order.

    Args:
      systems: with the same test images.
      reference: the name of the system that the others are compared with.
      seed: of the resamples.

    Returns:
      Rows of `name`, `seeds` and for each of `metric_names` `mean`, `std` (None of one seed),
      `interval` (95 %, bootstrap over images of the seeds' mean) and, but for the reference,
      `difference` with `p_holm`, adjusted for the number of rows. Metrics come from scores counted
      in bins; AUROC and average precision agree with the exact ones to 1e-3, the others are exact.

    Raises:
      UserError: when the test data have one class alone.
    """
    if not all(part.nnz for part in (systems[0].binned[0].normal, systems[0].binned[0].anomalous)):
        raise UserError("the test data are all normal or all anomalous, so nothing can be ranked")
    weights = draws(systems[0].binned[0].normal.shape[0], seed)
    sampled = {system.name: sample(system, weights) for system in systems}
    rows = []
    for name, system in sampled.items():
        row: dict[str, Any] = {"name": name, "seeds": len(system.values)}
        row |= {figure: _summary(system, number) for number, figure in enumerate(metric_names())}
        if name != reference:
            differences = difference(system, sampled[reference])
            for figure, value in zip(metric_names(), differences, strict=True):
                row[figure]["difference"] = value
        rows.append(row)
    for figure in metric_names():
        compared = [row[figure]["difference"] for row in rows if row["name"] != reference]
        tested = [value for value in compared if value["p"] is not None]
        adjusted = holm([value["p"] for value in tested])
        for value, p_holm in zip(tested, adjusted, strict=True):
            value["p_holm"] = p_holm
    return rows


def _summary(system: Sampled, number: int) -> dict[str, Any]:
    values, means = system.values[:, number], system.samples[:, :, number].mean(axis=1)
    tails = ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2)
    return {
        "mean": float(values.mean()),
        "std": float(values.std(ddof=1)) if len(values) > 1 else None,
        "interval": [float(np.nanquantile(means, tail)) for tail in tails],
    }


def verdict(rows: Sequence[dict[str, Any]], reference: str, figure: str = "auroc") -> str:
    """Which rows differ from the reference, and which are within noise, in plain sentences."""
    compared = [row for row in rows if "difference" in row[figure]]
    tested = [row for row in compared if "p_holm" in row[figure]["difference"]]
    apart = [row for row in tested if row[figure]["difference"]["p_holm"] < 1 - CONFIDENCE]
    near = [row for row in tested if row not in apart]
    untested = [row for row in compared if row not in tested]
    sentences = []
    if apart:
        parts = [f"{row['name']} ({_signed(row[figure]['difference'])})" for row in apart]
        sentences.append(f"Beyond noise from {reference}: {', '.join(parts)}.")
    if near:
        parts = [f"{row['name']} ({_signed(row[figure]['difference'])})" for row in near]
        sentences.append(f"Within noise of {reference}: {', '.join(parts)}.")
    if untested:
        names = ", ".join(row["name"] for row in untested)
        sentences.append(f"Of one seed or one image, so not compared: {names}.")
    return " ".join(sentences)


def _signed(difference: dict[str, Any]) -> str:
    low, high = difference["interval"]
    return f"{difference['value']:+.3f}, {low:+.3f} to {high:+.3f}"
