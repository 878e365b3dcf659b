"""scores.npz and the figures of an evaluation of items."""

from pathlib import Path

import numpy as np

from semad import plots
from semad.data.normalisation import displayed, normalise
from semad.evaluation.items import SHOWN, ItemEvaluation
from semad.metrics.pixels import Curve
from semad.run.prepare import Run
from semad.scoring.items import cut_items
from semad.utils.arrays import write_arrays


def write_items(folder: Path, run: Run, evaluated: ItemEvaluation) -> None:
    """Writes scores.npz, and of the first member the curves, histogram, cases, reconstructions."""
    write_scores(folder, run, evaluated)
    _draw_curves(folder, run, evaluated)
    _draw_cases(folder, run, evaluated)
    _draw_reconstructions(folder, run, evaluated)


def write_scores(folder: Path, run: Run, evaluated: ItemEvaluation) -> None:
    """scores.npz: every raw score, (N,) or (members, N), beside labels and item ids."""
    items = evaluated.items
    arrays = {
        "labels": items.test.labels,
        "items": items.test.items,
        "image_ids": np.array(run.source.test_ids),
        "holdout_items": items.holdout,
    }
    for prefix, parts in (
        ("score", [member.test for member in evaluated.scores]),
        ("holdout_score", [member.holdout for member in evaluated.scores]),
    ):
        for name in parts[0].values:
            values = np.stack([part.values[name] for part in parts])
            arrays[f"{prefix}/{name}"] = values[0] if len(parts) == 1 else values
    for prefix, scores in (
        ("baseline", evaluated.baselines),
        ("holdout_baseline", evaluated.holdout_baselines),
    ):
        arrays |= {f"{prefix}/{name}": values for name, values in scores.items()}
    write_arrays(folder / "scores.npz", arrays)


def _draw_curves(folder: Path, run: Run, evaluated: ItemEvaluation) -> None:
    result, labels = evaluated.metrics, evaluated.items.test.labels
    name, member = run.system.scoring.score, evaluated.scores[0]
    first = result["members"][0] if "members" in result else result
    if result["auroc"] is not None:
        scores = {f"{run.method.name} {name}": member.test.values[name]} | evaluated.baselines
        curves = {key: Curve(labels, values) for key, values in scores.items()}
        plots.roc(folder / "roc.png", curves)
        plots.precision_recall(folder / "pr.png", curves)
    plots.histogram(
        folder / "histogram.png",
        labels,
        member.test.values[name],
        member.holdout.values[name],
        first["threshold"]["value"],
        name,
    )


def _draw_cases(folder: Path, run: Run, evaluated: ItemEvaluation) -> None:
    test = evaluated.items.test
    scores = evaluated.scores[0].test.values[run.system.scoring.score]
    cases = {
        caption: cut_items(run.source.test, test.items[rows], run.sampling.patch_size)
        for caption, rows in _cases(test.labels, scores).items()
        if len(rows)
    }
    plots.tile_cases(folder / "cases.png", cases)


def _draw_reconstructions(folder: Path, run: Run, evaluated: ItemEvaluation) -> None:
    rows, test = evaluated.items.shown, evaluated.items.test
    rebuilt = evaluated.scores[0].test.reconstructions
    if not rebuilt:
        return
    patches = cut_items(run.source.test, test.items[rows], run.sampling.patch_size)
    outputs = np.stack([rebuilt[int(row)] for row in rows])
    how = run.method.normalisation
    inputs, shown = (
        np.asarray(displayed(part, how)) for part in (normalise(patches, how), outputs)
    )
    plots.reconstructions(folder / "reconstructions.png", inputs, shown, test.labels[rows])


def _cases(labels: np.ndarray, scores: np.ndarray) -> dict[str, np.ndarray]:
    """Positions of the items that the score gets most wrong, and most right, by caption."""
    order = np.argsort(-scores, kind="stable")
    normal, anomalous = (order[labels[order] == label] for label in (False, True))
    return {
        "normal, highest scores: false alarms": normal[:SHOWN],
        "anomalous, lowest scores: missed": anomalous[::-1][:SHOWN],
        "anomalous, highest scores: found": anomalous[:SHOWN],
    }
