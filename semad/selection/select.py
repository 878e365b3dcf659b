"""`config.select`: which score, how smooth a map, and how pooled, chosen without a label."""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np

from semad.config.schema import Settings
from semad.run.prepare import Run
from semad.run.system import System
from semad.scoring.baselines import BASELINES, baseline_maps
from semad.scoring.batched import ScoringState, make_scorer, over_devices
from semad.scoring.maps import map_images
from semad.scoring.unfinished import KEEP_NOTHING, Unfinished
from semad.selection.doubts import doubts
from semad.selection.validator import (
    SMOOTHINGS,
    Ranked,
    rank,
    rank_pixel_rates,
    rank_poolings,
    try_on,
)

VERSION = 3
"""Of the validator, whose choices a workdir keeps; another one chooses anew."""

_KEPT = 10  # of the ranking, in the record


def select(
    system: System,
    member: ScoringState,
    normal: Sequence[np.ndarray],
    smoothings: Iterable[float] = SMOOTHINGS,
    unfinished: Unfinished = KEEP_NOTHING,
) -> dict[str, Any]:
    """Ranks scores, smoothings, poolings and pixels' rates by `semad.selection.validator`.

    Of a system with `Method.candidates` these scores alone.

    Args:
      system: that scores.
      member: whose weights; the choice holds for its whole population.
      normal: held-out normal images.
      smoothings: to choose among.
      unfinished: keeps the maps so far, and has what an earlier call kept.

    Returns:
      `rule`, `chosen`, `runner_up` and `ranking`, the best first: each has `score`, `smoothing`,
      `value` and the average precision by family of defects, and the runner-up is None where there
      is one setting; `excluded_families`, which did not count; `pooling`, as
      `semad.selection.validator.Poolings` says, and the AUROC of all `poolings`;
      `pixel_rate`, whose outlines fit planted defects best, and the overlap of all `pixel_rates`;
      `doubts`, see `semad.selection.doubts`.
    """
    settings, excluded = system.settings, system.method.excluded_families
    scorer = over_devices(make_scorer(system.method, maps=True))
    names = system.method.candidates
    mapper = partial(map_images, scorer, member, tiling=system.scoring.tiling, names=names)
    trial = try_on(mapper, normal, settings.seed, label="choosing a score", unfinished=unfinished)
    ranked = rank(trial, smoothings=smoothings, excluded_families=excluded)
    best, area = ranked[0].setting, settings.score.min_area
    one_each = try_on(
        *(mapper, normal, settings.seed, 0.0),
        large=True,
        label="choosing a pooling",
        unfinished=unfinished,
    )
    poolings = rank_poolings(one_each, best, area, excluded)
    outlines = rank_pixel_rates(trial, best, excluded)
    rows = [_row(setting) for setting in ranked[:_KEPT]]
    return {
        "rule": "synthetic",
        "excluded_families": list(excluded),
        "chosen": rows[0],
        "runner_up": rows[1] if len(rows) > 1 else None,
        "ranking": rows,
        "pooling": poolings.chosen,
        "poolings": poolings.aurocs,
        "pixel_rate": max(outlines, key=lambda rate: outlines[rate]),
        "pixel_rates": {f"{rate:g}": overlap for rate, overlap in outlines.items()},
        "doubts": doubts(trial, ranked[0], normal, excluded),
    }


def apply_selection(settings: Settings, selection: dict[str, Any]) -> Settings:
    """Settings that score as was chosen."""
    return settings.replace(score=settings.score.replace(**_chosen(selection)))


def in_words(settings: Settings, selection: dict[str, Any]) -> str:
    """The choice in a sentence, with what it overrules of `config.score`."""
    chosen = _chosen(selection)
    asked = {name: value for name, value in settings.score if name in chosen}
    other = {name: value for name, value in asked.items() if value not in (None, chosen[name])}
    text = f"chosen by planted defects: {_listed(chosen)}"
    if other:
        text += f"; config.score has {_listed(other)}, which counts with --config.select=none"
    return text


def _chosen(selection: dict[str, Any]) -> dict[str, Any]:
    """Keys of `config.score` with the values that were chosen."""
    return {
        "name": selection["chosen"]["score"],
        "smoothing": selection["chosen"]["smoothing"],
        "pooling": selection["pooling"],
        "pixel_rate": selection["pixel_rate"],
    }


def _listed(values: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _row(ranked: Ranked) -> dict[str, Any]:
    return ranked.setting._asdict() | {"value": ranked.value, "families": ranked.families}


def baseline_smoothings(run: Run) -> dict[str, float]:
    """σ in pixels for the map of each baseline: chosen as that of the system is, or the same."""
    settings = run.settings
    if settings.select == "none":
        return dict.fromkeys(BASELINES, settings.score.smoothing)
    trial = try_on(partial(map, baseline_maps), run.holdout, settings.seed)
    ranked = rank(trial, excluded_families=run.method.excluded_families)
    return {
        name: next(
            candidate.setting.smoothing for candidate in ranked if candidate.setting.score == name
        )
        for name in BASELINES
    }
