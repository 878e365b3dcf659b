"""Figures of an evaluation, drawn by matplotlib without a display."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image
from sklearn import metrics

_DPI = 120


def _axes(title: str, xlabel: str, ylabel: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(5, 4), layout="constrained")
    axes = figure.subplots()
    axes.set(title=title, xlabel=xlabel, ylabel=ylabel)
    axes.grid(alpha=0.3)
    return figure, axes


class Curve(NamedTuple):
    """Labels (N,), True where anomalous, scores (N,), and how often each pair counts."""

    labels: np.ndarray
    scores: np.ndarray
    weights: np.ndarray | None = None


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


def _strength(number: int) -> dict[str, float]:
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
            axes.hist(values, bins, weights=weights, histtype="step", label=label, linewidth=1.5)
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
      inputs, outputs: (N, P, P, C) in [-1, 1].
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
                axes.imshow(image, cmap="magma", vmin=0, vmax=1)
            else:
                axes.imshow(np.clip((image + 1) / 2, 0, 1).squeeze(), cmap="gray", vmin=0, vmax=1)
            axes.set(xticks=[], yticks=[])
            if name == "input":
                axes.set_title("anomalous" if label else "normal", fontsize=6)
        axes_row[0].set_ylabel(name, fontsize=7)
    figure.savefig(path, dpi=_DPI)


def overlay(path: Path, image: np.ndarray, mask: np.ndarray, found: np.ndarray) -> None:
    """A micrograph with defects marked: green found, red false alarm, blue missed.

    Args:
      path: of the PNG.
      image: (H, W, C), uint8 or uint16.
      mask: bool (H, W), what is anomalous.
      found: bool (H, W), what exceeds the threshold.
    """
    grey = image.mean(axis=2) * (255 / np.iinfo(image.dtype).max)
    picture = np.repeat(grey[..., None], 3, axis=2)
    # Red, green and blue, in this order.
    for channel, where in enumerate((found & ~mask, found & mask, mask & ~found)):
        picture[where] *= 0.6
        picture[where, channel] += 0.4 * 255
    Image.fromarray(picture.round().astype(np.uint8)).save(path)
