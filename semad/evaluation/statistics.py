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
from sklearn.metrics import average_precision_score, roc_auc_score

from semad.errors import UserError
from semad.evaluation.metrics import of_cells
from semad.evaluation.pixels import bin_edges
from semad.evaluation.results import FIGURES
from semad.scoring.thresholds import CONFIDENCE

RESAMPLES = 400


class Tally(NamedTuple):
    """Scores of one member on the test data, counted by image and bin, bins by ascending score.

    Attributes:
      normal, anomalous: (images, bins), how many items or pixels.
      limit: the first bin above the threshold.
    """

    normal: sparse.csr_array
    anomalous: sparse.csr_array
    limit: int


class Entry(NamedTuple):
    """A system, or a variant of one: a tally for each of its seeds, in the seeds' order.

    `fixed` is for what no seed changes, such as a baseline.
    """

    name: str
    tallies: Sequence[Tally]
    fixed: bool = False


def tally(scores: np.ndarray, labels: np.ndarray, images: np.ndarray, threshold: float) -> Tally:
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
    return Tally(normal, anomalous, int(np.searchsorted(edges, threshold, side="right")) + 1)


def tally_bins(
    normal: np.ndarray, anomalous: np.ndarray, edges: np.ndarray, threshold: float
) -> Tally:
    """The same of pixels that were counted before, (images, bins) with `edges` between the bins."""
    limit = int(np.searchsorted(edges, threshold, side="right")) + 1
    return Tally(sparse.csr_array(normal), sparse.csr_array(anomalous), limit)


def draws(images: int, seed: int) -> np.ndarray:
    """How often each image is drawn in each resample, (RESAMPLES, images)."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(images, np.full(images, 1 / images), RESAMPLES)


def figures(one: Tally, weights: np.ndarray) -> list[float]:
    """`FIGURES` with images weighted, (images,); NaN where one class is missing, 0 for 0 / 0."""
    normal, anomalous = (weights @ part for part in (one.normal, one.anomalous))
    if not normal.sum() or not anomalous.sum():
        return [math.nan] * len(FIGURES)
    counts = np.concatenate([normal, anomalous])
    kept = counts > 0
    labels = np.repeat([False, True], len(normal))[kept]
    bins, counts = np.tile(np.arange(len(normal)), 2)[kept], counts[kept]
    found = {
        "auroc": float(roc_auc_score(labels, bins, sample_weight=counts)),
        "average_precision": float(average_precision_score(labels, bins, sample_weight=counts)),
    }
    parts = [part for side in (normal, anomalous) for part in np.split(side, [one.limit])]
    found |= of_cells([part.sum() for part in parts])
    return [found[name] for name in FIGURES]


class Sampled(NamedTuple):
    """Figures of an entry.

    Attributes:
      values: on the test images, (seeds, F).
      samples: on every resample of them, (R, seeds, F).
      images: how many there are.
      fixed: see `Entry`.
    """

    values: np.ndarray
    samples: np.ndarray
    images: int
    fixed: bool


def sample(entry: Entry, weights: np.ndarray) -> Sampled:
    """All figures of all seeds, on the test images and on every resample of `draws`."""
    once = np.ones(weights.shape[1])
    values = np.array([figures(one, once) for one in entry.tallies])
    samples = np.array([[figures(one, row) for one in entry.tallies] for row in weights])
    return Sampled(values, samples, weights.shape[1], entry.fixed)


def difference(own: Sampled, other: Sampled) -> list[dict[str, Any]]:
    """own − other on the same resamples, for each figure: `value`, `interval`, and a two-sided `p`.

    Seed i is compared with seed i where both have as many: they share initial weights and batches.
    """
    count, means = len(own.values), own.samples.mean(axis=1) - other.samples.mean(axis=1)
    if count == len(other.values) and not own.fixed and not other.fixed:
        by_seed = _variance(own.values - other.values)
    else:
        by_seed = sum(
            (_variance(one.values) for one in (own, other) if not one.fixed),
            np.zeros(own.values.shape[1]),
        )
    by_image = np.nanvar(means, axis=0, ddof=1)
    value = own.values.mean(axis=0) - other.values.mean(axis=0)
    return [
        _student(*parts, seeds=count, images=own.images)
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


def compare(entries: Sequence[Entry], reference: str, seed: int = 0) -> list[dict[str, Any]]:
    """A row per entry, in the given order.

    Args:
      entries: with the same test images.
      reference: the name of the entry that the others are compared with.
      seed: of the resamples.

    Returns:
      Rows of `name`, `seeds` and for each of `FIGURES` `mean`, `std` (None of one seed), `interval`
      (95 %, bootstrap over images of the seeds' mean) and, but for the reference, `difference` with
      `p_holm`, adjusted for the number of rows. Figures come from scores counted in bins; AUROC
      and average precision agree with the exact ones to 1e-3, the others are exact.

    Raises:
      UserError: when the test data have one class alone.
    """
    if not all(
        part.nnz for part in (entries[0].tallies[0].normal, entries[0].tallies[0].anomalous)
    ):
        raise UserError("the test data are all normal or all anomalous, so nothing can be ranked")
    weights = draws(entries[0].tallies[0].normal.shape[0], seed)
    sampled = {entry.name: sample(entry, weights) for entry in entries}
    rows = []
    for name, one in sampled.items():
        row: dict[str, Any] = {"name": name, "seeds": len(one.values)}
        row |= {figure: _summary(one, number) for number, figure in enumerate(FIGURES)}
        if name != reference:
            own = difference(one, sampled[reference])
            for figure, found in zip(FIGURES, own, strict=True):
                row[figure]["difference"] = found
        rows.append(row)
    for figure in FIGURES:
        found = [row[figure]["difference"] for row in rows if row["name"] != reference]
        tested = [one for one in found if one["p"] is not None]
        for one, adjusted in zip(tested, holm([one["p"] for one in tested]), strict=True):
            one["p_holm"] = adjusted
    return rows


def _summary(one: Sampled, number: int) -> dict[str, Any]:
    values, means = one.values[:, number], one.samples[:, :, number].mean(axis=1)
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


def _signed(found: dict[str, Any]) -> str:
    return f"{found['value']:+.3f}, {found['interval'][0]:+.3f} to {found['interval'][1]:+.3f}"
