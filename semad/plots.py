"""Figures of an evaluation, drawn by matplotlib without a display."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from scipy import ndimage
from sklearn import metrics

from semad.metrics.pixels import Curve
from semad.pictures import grey_levels

_DPI = 120


def _axes(title: str, xlabel: str, ylabel: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(5, 4), layout="constrained")
    axes = figure.subplots()
    axes.set(title=title, xlabel=xlabel, ylabel=ylabel)
    axes.grid(alpha=0.3)
    return figure, axes


def roc(path: Path, curves: dict[str, Curve]) -> None:
    """ROC curves of several scores; the first is drawn strong, the others are for comparison."""
    figure, axes = _axes("ROC", "false-positive rate", "true-positive rate")
    for number, (name, (labels, scores, weights)) in enumerate(curves.items()):
        wrong, right, _ = metrics.roc_curve(labels, scores, sample_weight=weights)
        area = metrics.auc(wrong, right)
        axes.plot(wrong, right, label=f"{name} ({area:.3f})", **_strength(number))
    axes.plot([0, 1], [0, 1], color="grey", linestyle=":", linewidth=0.8)
    axes.legend(loc="lower right", fontsize="small")
    figure.savefig(path, dpi=_DPI)


def precision_recall(path: Path, curves: dict[str, Curve]) -> None:
    """Precision-recall curves; the dotted line is the share of anomalous items."""
    figure, axes = _axes("precision and recall", "recall", "precision")
    for number, (name, (labels, scores, weights)) in enumerate(curves.items()):
        precision, recall, _ = metrics.precision_recall_curve(labels, scores, sample_weight=weights)
        average = metrics.average_precision_score(labels, scores, sample_weight=weights)
        axes.plot(recall, precision, label=f"{name} ({average:.3f})", **_strength(number))
    axes.axhline(np.average(labels, weights=weights), color="grey", linestyle=":", linewidth=0.8)
    axes.set_ylim(0, 1.02)
    axes.legend(loc="upper right", fontsize="small")
    figure.savefig(path, dpi=_DPI)


def _strength(number: int) -> dict[str, Any]:
    return {"linewidth": 2.0} if number == 0 else {"linewidth": 1.0, "alpha": 0.6}


def histogram(
    path: Path,
    labels: np.ndarray,
    scores: np.ndarray,
    holdout: np.ndarray,
    threshold: float,
    name: str,
) -> None:
    """Densities of the score: held-out normal, normal and anomalous test items, threshold."""
    figure, axes = _axes(f"score: {name}", "anomaly score", "density")
    everything = np.concatenate([scores, holdout])
    bins = np.histogram_bin_edges(everything, bins=60)
    groups = {"held-out normal": holdout, "normal": scores[~labels], "anomalous": scores[labels]}
    for label, values in groups.items():
        if len(values):
            # By weights, since a density of values that are all equal would be infinite.
            weights = np.full(len(values), 1 / len(values))
            axes.hist(
                values, list(bins), weights=weights, histtype="step", label=label, linewidth=1.5
            )
    axes.set_ylabel("share of its group")
    axes.axvline(threshold, color="black", linestyle="--", linewidth=1, label="threshold")
    axes.legend(fontsize="small")
    figure.savefig(path, dpi=_DPI)


def reconstructions(
    path: Path, inputs: np.ndarray, outputs: np.ndarray, labels: np.ndarray
) -> None:
    """Columns of input, reconstruction and absolute residual; normal items first.

    Args:
      path: of the PNG.
      inputs, outputs: (N, P, P, C), grey values in [0, 1].
      labels: bool (N,).
    """
    columns = len(inputs)
    figure = Figure(figsize=(0.8 * columns + 1, 3), layout="constrained")
    grid = figure.subplots(3, columns, squeeze=False)
    residuals = np.abs(inputs - outputs).mean(axis=-1)
    rows = {"input": inputs, "reconstruction": outputs, "residual": residuals}
    for axes_row, (name, images) in zip(grid, rows.items(), strict=True):
        for axes, image, label in zip(axes_row, images, labels, strict=True):
            if name == "residual":
                axes.imshow(image, cmap="magma", vmin=0, vmax=0.5)
            else:
                axes.imshow(image.squeeze(), cmap="gray", vmin=0, vmax=1)
            axes.set(xticks=[], yticks=[])
            if name == "input":
                axes.set_title("anomalous" if label else "normal", fontsize=6)
        axes_row[0].set_ylabel(name, fontsize=7)
    figure.savefig(path, dpi=_DPI)


def training(path: Path | BinaryIO, lines: Sequence[dict[str, Any]]) -> None:
    """Losses over the steps, a panel per update and a line per member.

    Args:
      path: of the PNG, or an opened file.
      lines: of log.jsonl.
    """
    names = sorted({key for line in lines for key in line if key.endswith("/loss")})
    figure = Figure(figsize=(4 * max(1, len(names)), 3), layout="constrained")
    for axes, name in zip(
        figure.subplots(1, len(names) or 1, squeeze=False)[0], names, strict=False
    ):
        kept = [line for line in lines if name in line]
        values = np.array([np.atleast_1d(line[name]) for line in kept])
        axes.plot([line["step"] for line in kept], values, marker=".", linewidth=1)
        axes.set(title=name, xlabel="step")
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=_DPI)


def image_scores(path: Path | BinaryIO, scores: Sequence[float], threshold: float) -> None:
    """How the scores of inspected images spread, and the threshold."""
    figure, axes = _axes("scores of the images", "anomaly score", "images")
    axes.hist(scores, bins=min(40, 5 + len(scores)))
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.axvline(threshold, color="black", linestyle="--", linewidth=1, label="threshold")
    axes.legend(fontsize="small")
    figure.savefig(path, dpi=_DPI)


def forest(path: Path, rows: Sequence[dict[str, Any]], figure: str, reference: str) -> None:
    """A line per row of `statistics.compare`: the seeds' mean with its interval, and the reference.

    Filled where the difference from the reference is beyond noise.
    """
    drawn = Figure(figsize=(6, 1 + 0.28 * len(rows)), layout="constrained")
    axes = drawn.subplots()
    for place, row in enumerate(reversed(rows)):
        low, high = row[figure]["interval"]
        p = row[figure].get("difference", {}).get("p_holm")
        color = "black" if row["name"] == reference else "C0"
        axes.plot([low, high], [place, place], linewidth=1, color=color)
        inside = color if p is not None and p < 0.05 else "white"
        axes.plot(row[figure]["mean"], place, marker="o", color=color, markerfacecolor=inside)
        if row["name"] == reference:
            axes.axvline(row[figure]["mean"], color="grey", linestyle=":", linewidth=0.8)
    axes.set_yticks(range(len(rows)), [row["name"] for row in reversed(rows)], fontsize="small")
    axes.set_xlabel(f"{figure}: mean over seeds, 95 % interval over images")
    axes.grid(axis="x", alpha=0.3)
    drawn.savefig(path, dpi=_DPI)


def tile_cases(path: Path, rows: dict[str, np.ndarray]) -> None:
    """Rows of tiles, each under its title: caption -> integers (N, P, P, C)."""
    rows = {name: tiles for name, tiles in rows.items() if len(tiles)}
    columns = max(len(tiles) for tiles in rows.values())
    figure = Figure(figsize=(0.8 * columns, 1.1 * len(rows)), layout="constrained")
    for part, (name, tiles) in zip(
        figure.subfigures(len(rows), 1, squeeze=False)[:, 0], rows.items(), strict=True
    ):
        part.suptitle(name, fontsize=7, x=0.01, ha="left")
        for axes, tile in zip(part.subplots(1, columns, squeeze=False)[0], tiles, strict=False):
            axes.imshow(grey_levels(tile), cmap="gray", vmin=0, vmax=255)
        for axes in part.axes:
            axes.axis("off")
    figure.savefig(path, dpi=_DPI)


def map_cases(path: Path, cases: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]) -> None:
    """Micrographs, their defects and their maps: caption -> image (H, W, C), mask, map (H, W)."""
    figure = Figure(figsize=(9, 2.6 * len(cases)), layout="constrained")
    grid = figure.subplots(len(cases), 3, squeeze=False)
    for row, (name, (image, mask, values)) in zip(grid, cases.items(), strict=True):
        pictures = {name: grey_levels(image), "defects": mask, "anomaly map": values}
        for axes, (title, picture) in zip(row, pictures.items(), strict=True):
            axes.imshow(picture, cmap="magma" if title == "anomaly map" else "gray")
            axes.set_title(title, fontsize=7)
            axes.axis("off")
    figure.savefig(path, dpi=_DPI)


def fibres(
    path: BinaryIO,
    diameters: dict[str, list[int]],
    angles: dict[str, list[int]],
    nm_per_pixel: float | None,
) -> None:
    """Diameters and directions of fibres, as shares of the length of their centre lines.

    Args:
      path: an opened file.
      diameters: by region, counts in bins of one per cent from 1 pixel on.
      angles: by region, counts in bins of equal width from 0 to 180 degrees.
      nm_per_pixel: the scale, if known.
    """
    figure = Figure(figsize=(9, 3.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    unit = "nm" if nm_per_pixel else "pixels"
    for number, (name, counts) in enumerate(diameters.items()):
        share = ndimage.gaussian_filter1d(np.pad(np.array(counts, float), (0, 20)), 2)
        middle = np.exp((np.arange(len(share)) + 0.5) / 100)
        density = share / max(share.sum(), 1) * 100 / (middle * (nm_per_pixel or 1))
        left.plot(middle * (nm_per_pixel or 1), density, label=name, **_strength(number))
    for number, (name, counts) in enumerate(angles.items()):
        limits = np.linspace(0, 180, len(counts) + 1)
        shares = np.array(counts) / max(sum(counts), 1)
        right.stairs(shares, limits, label=name, **_strength(number))
    seen = np.nonzero(np.sum([np.pad(c, (0, 2000 - len(c))) for c in diameters.values()], 0))[0]
    if len(seen):
        limits = np.exp(np.array([seen[0], seen[-1] + 1]) / 100) * (nm_per_pixel or 1)
        left.set_xlim(*limits)
    left.set(title="fibre diameters", xlabel=f"diameter, {unit}", ylabel="density")
    right.set(title="directions", xlabel="degrees", ylabel="share", xlim=(0, 180), ylim=(0, None))
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.legend(fontsize="small")
    figure.savefig(path, dpi=_DPI)
