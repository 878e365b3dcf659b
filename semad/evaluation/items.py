"""Evaluation item by item: tiles of micrographs, or images of a one-vs-rest set."""

from typing import Any, NamedTuple

import numpy as np

from semad.data.patches import tile_items
from semad.data.tiles import subset
from semad.evaluation.per_image import of_tiles
from semad.evaluation.protocols import ProtocolItems, protocol_items
from semad.evaluation.results import member_metrics, summary
from semad.metrics.ranking import ranking
from semad.run.prepare import Run
from semad.run.system import scoring_state
from semad.scoring.baselines import baseline_scores
from semad.scoring.batched import make_scorer, over_devices
from semad.scoring.items import ItemScores, score_items
from semad.scoring.unfinished import KEEP_NOTHING, Unfinished
from semad.types import TrainState

SHOWN = 8
"""Normal and as many anomalous items in reconstructions.png, and per row of cases.png."""


class Items(NamedTuple):
    """Everything that is scored, the same for all members.

    Attributes:
      test: the protocol's items, or a seeded subset of them.
      holdout: int32 (M, 3), held-out normal items, rows of (image, top, left).
      available: how many items the protocol has.
      shown: positions of the test items whose reconstructions are drawn.
    """

    test: ProtocolItems
    holdout: np.ndarray
    available: int
    shown: np.ndarray


class MemberScores(NamedTuple):
    """The scores of one member."""

    test: ItemScores
    holdout: ItemScores


class ItemEvaluation(NamedTuple):
    """An evaluation of items.

    Attributes:
      metrics: the part of metrics.json that follows from the scores.
      items: what was scored.
      scores: of every member.
      baselines: name -> (N,), of the test items.
      holdout_baselines: the same of the held-out normal items.
    """

    metrics: dict[str, Any]
    items: Items
    scores: list[MemberScores]
    baselines: dict[str, np.ndarray]
    holdout_baselines: dict[str, np.ndarray]


def evaluate_items(
    run: Run, state: TrainState, protocol: str, unfinished: Unfinished = KEEP_NOTHING
) -> ItemEvaluation:
    """Metrics of all scores of all members.

    Args:
      run: of `semad.run.prepare`.
      state: the population, stacked over its members.
      protocol: `thesis_tiles` or `one_class`.
      unfinished: keeps what is scored so far, and has what an earlier call kept.
    """
    items = choose_items(run, protocol)
    settings, name = run.settings.score, run.system.scoring.score
    size = run.sampling.patch_size
    baselines = baseline_scores(run.source.test, items.test.items, size)
    holdout_baselines = baseline_scores(run.holdout, items.holdout, size)
    scores = _score(run, items, state, unfinished)
    labels = items.test.labels
    rows = [
        member._asdict()
        | {"step": int(step)}
        | member_metrics(
            labels,
            scored.test.values,
            scored.holdout.values,
            name,
            settings.threshold_rule,
            settings.threshold_rate,
        )
        for member, step, scored in zip(run.system.members, state.step, scores, strict=True)
    ]
    result = summary(rows, settings.threshold_rule) | {
        "n_test": len(labels),
        "n_anomalous": int(labels.sum()),
        "n_available": items.available,
        "baselines": {
            key: ranking(labels, values) | {"inverted": ranking(labels, -values)}
            for key, values in baselines.items()
        },
    }
    if run.source.micrographs:
        first = result["members"][0] if "members" in result else result
        result |= of_tiles(
            scores[0].test.values[name],
            labels,
            items.test.items[:, 0],
            scores[0].holdout.values[name],
            items.holdout[:, 0],
            run.source.test_ids,
            settings.threshold_rate,
            first["threshold"]["value"],
        )
    return ItemEvaluation(result, items, scores, baselines, holdout_baselines)


def choose_items(run: Run, protocol: str) -> Items:
    """The protocol's items, or a seeded subset of them, and the held-out normal ones.

    Raises:
      UserError: when the data does not suit the protocol.
    """
    settings, patch_size = run.settings.eval, run.sampling.patch_size
    stride = run.settings.score.stride
    test = protocol_items(protocol, run.source, patch_size, stride)
    rows = subset(len(test.labels), settings.max_items, run.settings.seed)
    chosen = ProtocolItems(test.items[rows], test.labels[rows])
    holdout = tile_items(run.holdout, patch_size, stride)
    holdout = holdout[subset(len(holdout), settings.max_holdout_items, run.settings.seed)]
    # By index, evenly spread: not by looks.
    shown = [_spread(np.flatnonzero(chosen.labels == label)) for label in (False, True)]
    return Items(chosen, holdout, len(test.labels), np.concatenate(shown))


def _spread(rows: np.ndarray) -> np.ndarray:
    if len(rows) <= SHOWN:
        return rows
    return rows[np.linspace(0, len(rows) - 1, SHOWN, dtype=int)]


def _score(run: Run, items: Items, state: TrainState, unfinished: Unfinished) -> list[MemberScores]:
    """Scores of the test items and of the held-out normal ones, by each member."""
    scorer = over_devices(make_scorer(run.method))
    parts = (
        (run.source.test, items.test.items, items.shown, "scoring test items"),
        (run.holdout, items.holdout, (), "scoring held-out normal items"),
    )
    scores = []
    for number in range(len(run.system.members)):
        member = scoring_state(run.system, state, number)
        test, holdout = (
            score_items(
                *(scorer, member, images, rows),
                patch_size=run.sampling.patch_size,
                chunk=run.system.scoring.chunk,
                keep=keep,
                label=f"{label}, member {number}",
                unfinished=unfinished,
            )
            for images, rows, keep, label in parts
        )
        scores.append(MemberScores(test, holdout))
    return scores
