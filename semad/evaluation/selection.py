"""`config.select`: which score, how smooth a map, and how pooled, chosen without a label."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import ml_collections
import numpy as np

from semad.evaluation.baselines import BASELINES, baseline_maps
from semad.evaluation.planted_tiles import auroc_of_families, plant_tiles
from semad.evaluation.validator import SMOOTHINGS, Ranked, rank, rank_poolings, try_on
from semad.experiment import Experiment, score_name, scoring_member
from semad.scoring.batched import Scoring, make_scorer, over_devices, patches_per_call
from semad.scoring.items import score_items
from semad.scoring.maps import cover, map_images
from semad.training.validation import Measure
from semad.types import Method, TrainState

_KEPT = 10  # of the ranking, in the record


def select(
    config: ml_collections.ConfigDict,
    method: Method,
    member: Scoring,
    normal: Sequence[np.ndarray],
    smoothings: Iterable[float] = SMOOTHINGS,
) -> dict[str, Any]:
    """Ranks every score at every smoothing by `semad.evaluation.validator`, and the poolings.

    Args:
      config: of the run.
      method: the system.
      member: whose weights; the choice holds for its whole population.
      normal: held-out normal images.
      smoothings: to choose among.

    Returns:
      `rule`, `chosen`, `runner_up` and `ranking`, the best first: each has `score`, `smoothing`,
      `value` and the average precision by family of defects; `practised`, the families that did
      not count; `pooling`, the best of `poolings`, the first on a tie, and the AUROC of each.
    """
    scorer = over_devices(make_scorer(method, maps=True))
    covered = cover(config, method)
    mapper = partial(map_images, scorer, member, cover=covered)
    trial = try_on(mapper, normal, config.seed)
    ranked = rank(trial, smoothings=smoothings, practised=method.practised)
    best, area = ranked[0].setting, config.score.min_area
    one_each = try_on(mapper, normal, config.seed, coverage=0.0)
    poolings = rank_poolings(one_each, best, area, method.practised)
    rows = [_row(one) for one in ranked[:_KEPT]]
    return {
        "rule": "synthetic",
        "practised": list(method.practised),
        "chosen": rows[0],
        "runner_up": rows[1],
        "ranking": rows,
        "pooling": max(poolings, key=poolings.get),
        "poolings": poolings,
    }


def measure(run: Experiment) -> Measure | None:
    """What validates while training, by `config.train.validation`; None is by reconstruction.

    `synthetic`: minus the validator's value, with the score and the smoothing of the config.
    `planted_tiles`: minus the AUROC of `semad.evaluation.planted_tiles`, for the config's score.
    """
    measures = {"synthetic": _by_maps, "planted_tiles": _by_tiles}
    make = measures.get(run.config.train.validation)
    return make(run) if make else None


def _by_maps(run: Experiment) -> Measure:
    config = run.config
    scorer = over_devices(make_scorer(run.method, maps=True))
    name = score_name(config, run.method)
    covered = cover(config, run.method)

    def value(scoring: Scoring) -> float:
        mapper = partial(map_images, scorer, scoring, cover=covered, names=(name,))
        trial = try_on(mapper, run.holdout.images, config.seed)
        smoothings = (config.score.smoothing,)
        return -rank(trial, smoothings=smoothings, practised=run.method.practised)[0].value

    return partial(_each, run, value)


def _by_tiles(run: Experiment) -> Measure:
    config, size = run.config, run.draw.patch_size
    tiles = plant_tiles(run.holdout.images, size, config.seed)
    scorer, name = over_devices(make_scorer(run.method)), score_name(config, run.method)

    def value(scoring: Scoring) -> float:
        scored = score_items(
            scorer,
            scoring,
            tiles.images,
            tiles.items,
            patch_size=size,
            chunk=patches_per_call(config, run.method),
            label="validating",
        )
        return -auroc_of_families(tiles, scored.values[name], run.method.practised)

    return partial(_each, run, value)


def _each(
    run: Experiment, value: Callable[[Scoring], float], group: TrainState, first: int
) -> np.ndarray:
    """The value of every member of a group."""
    members = [
        scoring_member(run.config, run.method, group, number, first)
        for number in range(len(group.step))
    ]
    return np.array([value(member) for member in members])


def _row(ranked: Ranked) -> dict[str, Any]:
    return ranked.setting._asdict() | {"value": ranked.value, "families": ranked.families}


def baseline_smoothings(run: Experiment) -> dict[str, float]:
    """σ in pixels for the map of each baseline: chosen as that of the system is, or the same."""
    config = run.config
    if config.select == "none":
        return dict.fromkeys(BASELINES, config.score.smoothing)
    trial = try_on(partial(map, baseline_maps), run.holdout.images, config.seed)
    ranked = rank(trial, practised=run.method.practised)
    return {
        name: next(one.setting.smoothing for one in ranked if one.setting.score == name)
        for name in BASELINES
    }


def apply(
    config: ml_collections.ConfigDict, selection: dict[str, Any]
) -> ml_collections.ConfigDict:
    """A copy of the config that scores as was chosen."""
    chosen = config.copy_and_resolve_references()
    chosen.score.name = selection["chosen"]["score"]
    chosen.score.smoothing = selection["chosen"]["smoothing"]
    chosen.score.pooling = selection["pooling"]
    return chosen
