"""Evaluates a workdir's newest checkpoint and writes what `interface.md` lists."""

import json
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from semad import backend, config, experiment
from semad.data.patches import crops, stack, tile_items
from semad.evaluation import figures, metrics
from semad.evaluation.baselines import baseline_scores
from semad.evaluation.protocols import ProtocolItems, protocol_items, resolve, subset
from semad.evaluation.report import write_report
from semad.evaluation.results import member_metrics, summary
from semad.experiment import Experiment
from semad.files import new_folder, write_text
from semad.keys import Purpose, derive
from semad.scoring.batched import Scores, make_scorer, score_items
from semad.training.logs import training_seconds
from semad.training.state import member
from semad.types import TrainState

_SHOWN = 8  # normal and as many anomalous items in reconstructions.png


class Items(NamedTuple):
    """Everything that is scored, the same for all members."""

    protocol: str
    test: ProtocolItems
    holdout: np.ndarray
    available: int
    shown: np.ndarray


def evaluate(run: Experiment, state: TrainState, workdir: Path) -> dict[str, Any]:
    """Scores the test items with every member of a population and writes the results.

    Args:
      run: of `semad.experiment.prepare`.
      state: the population, stacked over its members.
      workdir: takes `evaluation/<protocol>/` and `report.html`; earlier results of the protocol
        are kept under another name.

    Returns:
      What metrics.json holds.

    Raises:
      UserError: when the data does not suit the protocol.
    """
    start = time.perf_counter()
    items = choose_items(run)
    score = run.config.score
    name = score.name or run.method.default_score
    population = experiment.members(run.config)
    # The folder first: scoring may take hours, and should not end at a disk that is read-only.
    with new_folder(workdir / "evaluation" / items.protocol) as folder:
        baselines = baseline_scores(run.source.test, items.test.items, run.draw.patch_size)
        scored = _score(run, items, [member(state, number) for number in range(len(population))])
        members = [
            one._asdict()
            | {"step": int(step)}
            | member_metrics(
                items.test.labels,
                test.values,
                holdout.values,
                name,
                score.threshold_rule,
                score.threshold_rate,
            )
            for one, step, (test, holdout) in zip(population, state.step, scored, strict=True)
        ]
        result = summary(members, score.threshold_rule) | {
            "method": run.method.name,
            "dataset": run.source.name,
            "protocol": items.protocol,
            "seed": run.config.seed,
            "step": int(state.step[0]),
            "n_test": len(items.test.labels),
            "n_anomalous": int(items.test.labels.sum()),
            "n_available": items.available,
            "score": name,
            "baselines": {
                key: metrics.ranking(items.test.labels, values) for key, values in baselines.items()
            },
            "seconds": round(time.perf_counter() - start, 2),
            "training_seconds": training_seconds(workdir),
            "versions": config.versions(),
            "config": json.loads(run.config.to_json()),
        }
        _write_scores(folder, run, items, scored)
        _draw(folder, run, items, result, scored[0], baselines)
        write_text(folder / "metrics.json", json.dumps(result, indent=2) + "\n")
        write_report(workdir / "report.html", folder, result)
    return result


def choose_items(run: Experiment) -> Items:
    """The protocol's items, or a seeded subset of them, and the held-out normal ones.

    Raises:
      UserError: when the data does not suit the protocol.
    """
    settings, patch_size = run.config.eval, run.draw.patch_size
    stride = run.config.score.stride
    protocol = resolve(settings.protocol, run.source)
    test = protocol_items(protocol, run.source, patch_size, stride)
    rows = subset(len(test.labels), settings.max_items, run.config.seed)
    chosen = ProtocolItems(test.items[rows], test.labels[rows])
    holdout = tile_items(run.holdout, patch_size, stride)
    holdout = holdout[subset(len(holdout), settings.max_holdout_items, run.config.seed)]
    # By index, evenly spread: not by looks.
    shown = [_spread(np.flatnonzero(chosen.labels == label)) for label in (False, True)]
    return Items(protocol, chosen, holdout, len(test.labels), np.concatenate(shown))


def _spread(rows: np.ndarray) -> np.ndarray:
    if len(rows) <= _SHOWN:
        return rows
    return rows[np.linspace(0, len(rows) - 1, _SHOWN, dtype=int)]


def _score(run: Experiment, items: Items, members: list[TrainState]) -> list[tuple[Scores, Scores]]:
    """Scores of the test items and of the held-out normal ones, by each member."""
    scorer = make_scorer(run.method, run.draw.patch_size)
    chunk = run.config.score.chunk or backend.plan().score_chunk
    parts = (
        (stack(run.source.test), items.test.items, items.shown, "scoring test items"),
        (stack(run.holdout), items.holdout, (), "scoring held-out normal items"),
    )
    scored = []
    for state in members:
        key = derive(state.key, Purpose.SCORING)
        test, holdout = (
            score_items(scorer, state.ema, data, rows, key, chunk=chunk, keep=keep, label=label)
            for data, rows, keep, label in parts
        )
        scored.append((test, holdout))
    return scored


def _write_scores(
    folder: Path, run: Experiment, items: Items, scored: list[tuple[Scores, Scores]]
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
    np.savez_compressed(folder / "scores.npz", **arrays)


def _draw(
    folder: Path,
    run: Experiment,
    items: Items,
    result: dict[str, Any],
    scored: tuple[Scores, Scores],
    baselines: dict[str, np.ndarray],
) -> None:
    """The figures, of the first member."""
    labels, name, (test, holdout) = items.test.labels, result["score"], scored
    first = result["members"][0] if "members" in result else result
    if result["auroc"] is not None:
        curves = {f"{run.method.name} {name}": test.values[name]} | baselines
        figures.roc(folder / "roc.png", labels, curves)
        figures.precision_recall(folder / "pr.png", labels, curves)
    figures.histogram(
        folder / "histogram.png",
        labels,
        test.values[name],
        holdout.values[name],
        first["threshold"]["value"],
        name,
    )
    rows = items.shown
    images = crops(stack(run.source.test), items.test.items[rows], run.draw.patch_size)
    outputs = np.stack([test.reconstructions[int(row)] for row in rows])
    figures.reconstructions(
        folder / "reconstructions.png", np.asarray(images), outputs, labels[rows]
    )
