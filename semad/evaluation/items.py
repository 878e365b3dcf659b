"""Evaluation item by item: tiles of micrographs, or images of a one-vs-rest set."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from semad import experiment
from semad.data.normalisation import displayed, normalise
from semad.data.patches import tile_items
from semad.evaluation import figures, metrics
from semad.evaluation.baselines import baseline_scores
from semad.evaluation.per_image import of_tiles
from semad.evaluation.protocols import ProtocolItems, protocol_items, resolve, subset
from semad.evaluation.results import member_metrics, summary
from semad.experiment import Experiment
from semad.population import members
from semad.scoring.batched import make_scorer, over_devices, patches_per_call
from semad.scoring.items import Scores, cut_items, score_items
from semad.scoring.unfinished import KEEP_NOTHING, Unfinished
from semad.types import TrainState

_SHOWN = 8  # normal and as many anomalous items in reconstructions.png


class Items(NamedTuple):
    """Everything that is scored, the same for all members."""

    protocol: str
    test: ProtocolItems
    holdout: np.ndarray
    available: int
    shown: np.ndarray


def evaluate_items(
    run: Experiment,
    state: TrainState,
    folder: Path,
    name: str,
    unfinished: Unfinished = KEEP_NOTHING,
) -> dict[str, Any]:
    """Figures of all scores of all members, with files and pictures.

    Args:
      run: of `semad.experiment.prepare`.
      state: the population, stacked over its members.
      folder: takes scores.npz and the figures.
      name: of the score that the result is about.
      unfinished: keeps what is scored so far, and has what an earlier call kept.
    """
    items = choose_items(run)
    settings = run.config.score
    size = run.draw.patch_size
    baselines = baseline_scores(run.source.test, items.test.items, size)
    normal = baseline_scores(run.holdout.images, items.holdout, size)
    scored = _score(run, items, state, unfinished)
    rows = [
        one._asdict()
        | {"step": int(step)}
        | member_metrics(
            items.test.labels,
            test.values,
            holdout.values,
            name,
            settings.threshold_rule,
            settings.threshold_rate,
        )
        for one, step, (test, holdout) in zip(members(run.config), state.step, scored, strict=True)
    ]
    labels = items.test.labels
    result = summary(rows, settings.threshold_rule) | {
        "n_test": len(labels),
        "n_anomalous": int(labels.sum()),
        "n_available": items.available,
        "baselines": {key: metrics.ranking(labels, values) for key, values in baselines.items()},
    }
    if run.source.micrographs:
        test, holdout = scored[0]
        first = result["members"][0] if "members" in result else result
        result |= of_tiles(
            test.values[name],
            labels,
            items.test.items[:, 0],
            holdout.values[name],
            items.holdout[:, 0],
            run.source.test_ids,
            settings.threshold_rate,
            first["threshold"]["value"],
        )
    _write_scores(folder, run, items, scored, {"baseline": baselines, "holdout_baseline": normal})
    _draw(folder, run, items, result, name, scored[0], baselines)
    return result


def choose_items(run: Experiment) -> Items:
    """The protocol's items, or a seeded subset of them, and the held-out normal ones.

    Raises:
      UserError: when the data does not suit the protocol.
    """
    settings, patch_size = run.config.eval, run.draw.patch_size
    stride = run.config.score.stride
    protocol = resolve(settings.protocol, run.source, run.method.convolutional)
    test = protocol_items(protocol, run.source, patch_size, stride)
    rows = subset(len(test.labels), settings.max_items, run.config.seed)
    chosen = ProtocolItems(test.items[rows], test.labels[rows])
    holdout = tile_items(run.holdout.images, patch_size, stride)
    holdout = holdout[subset(len(holdout), settings.max_holdout_items, run.config.seed)]
    # By index, evenly spread: not by looks.
    shown = [_spread(np.flatnonzero(chosen.labels == label)) for label in (False, True)]
    return Items(protocol, chosen, holdout, len(test.labels), np.concatenate(shown))


def _spread(rows: np.ndarray) -> np.ndarray:
    if len(rows) <= _SHOWN:
        return rows
    return rows[np.linspace(0, len(rows) - 1, _SHOWN, dtype=int)]


def _score(
    run: Experiment, items: Items, state: TrainState, unfinished: Unfinished
) -> list[tuple[Scores, Scores]]:
    """Scores of the test items and of the held-out normal ones, by each member."""
    scorer = over_devices(make_scorer(run.method))
    settings = {
        "patch_size": run.draw.patch_size,
        "chunk": patches_per_call(run.config, run.method),
    }
    parts = (
        (run.source.test, items.test.items, items.shown, "scoring test items"),
        (run.holdout.images, items.holdout, (), "scoring held-out normal items"),
    )
    scored = []
    for number in range(len(members(run.config))):
        own = experiment.scoring_member(run.config, run.method, state, number)
        test, holdout = (
            score_items(
                *(scorer, own, images, rows),
                keep=keep,
                label=f"{label}, member {number}",
                unfinished=unfinished,
                **settings,
            )
            for images, rows, keep, label in parts
        )
        scored.append((test, holdout))
    return scored


def _write_scores(
    folder: Path,
    run: Experiment,
    items: Items,
    scored: list[tuple[Scores, Scores]],
    others: dict[str, dict[str, np.ndarray]],
) -> None:
    """scores.npz: every raw score, (N,) or (members, N), beside labels and item ids."""
    arrays = {
        "labels": items.test.labels,
        "items": items.test.items,
        "image_ids": np.array(run.source.test_ids),
        "holdout_items": items.holdout,
    }
    for prefix, which in (("score", 0), ("holdout_score", 1)):
        for name in scored[0][which].values:
            values = np.stack([pair[which].values[name] for pair in scored])
            arrays[f"{prefix}/{name}"] = values[0] if len(scored) == 1 else values
    for prefix, values in others.items():
        arrays |= {f"{prefix}/{name}": one for name, one in values.items()}
    np.savez_compressed(folder / "scores.npz", **arrays)


def _draw(
    folder: Path,
    run: Experiment,
    items: Items,
    result: dict[str, Any],
    name: str,
    scored: tuple[Scores, Scores],
    baselines: dict[str, np.ndarray],
) -> None:
    """The figures, of the first member."""
    labels, (test, holdout) = items.test.labels, scored
    first = result["members"][0] if "members" in result else result
    if result["auroc"] is not None:
        scores = {f"{run.method.name} {name}": test.values[name]} | baselines
        curves = {key: figures.Curve(labels, values) for key, values in scores.items()}
        figures.roc(folder / "roc.png", curves)
        figures.precision_recall(folder / "pr.png", curves)
    figures.histogram(
        folder / "histogram.png",
        labels,
        test.values[name],
        holdout.values[name],
        first["threshold"]["value"],
        name,
    )
    cases = {
        caption: cut_items(run.source.test, items.test.items[rows], run.draw.patch_size)
        for caption, rows in _cases(labels, test.values[name]).items()
        if len(rows)
    }
    figures.tile_cases(folder / "cases.png", cases)
    rows = items.shown
    patches = cut_items(run.source.test, items.test.items[rows], run.draw.patch_size)
    if not test.reconstructions:
        return
    outputs = np.stack([test.reconstructions[int(row)] for row in rows])
    how = run.method.normalisation
    shown = [np.asarray(displayed(part, how)) for part in (normalise(patches, how), outputs)]
    figures.reconstructions(folder / "reconstructions.png", *shown, labels[rows])


def _cases(labels: np.ndarray, scores: np.ndarray) -> dict[str, np.ndarray]:
    """Positions of the items that the score gets most wrong, and most right, by caption."""
    order = np.argsort(-scores, kind="stable")
    normal, anomalous = (order[labels[order] == label] for label in (False, True))
    return {
        "normal, highest scores: false alarms": normal[:_SHOWN],
        "anomalous, lowest scores: missed": anomalous[::-1][:_SHOWN],
        "anomalous, highest scores: found": anomalous[:_SHOWN],
    }
