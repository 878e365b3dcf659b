"""`config.train.validation`: the measures that the best checkpoint is chosen by."""

from collections.abc import Callable
from functools import partial

import numpy as np

from semad.run.prepare import Run
from semad.run.system import scoring_state
from semad.scoring.batched import ScoringState, make_scorer, over_devices
from semad.scoring.items import score_items
from semad.scoring.maps import map_images
from semad.selection.planted_tiles import auroc_of_families, plant_tiles
from semad.selection.validator import rank, try_on
from semad.training.validation import Measure
from semad.types import TrainState


def validation_measure(run: Run) -> Measure | None:
    """What validates while training, by `config.train.validation`; None is by reconstruction.

    `synthetic`: minus the validator's value, with the score and the smoothing of the config.
    `planted_tiles`: minus the AUROC of `semad.selection.planted_tiles`, for the config's score.
    """
    measures = {"synthetic": _by_maps, "planted_tiles": _by_tiles}
    make = measures.get(run.settings.train.validation)
    return make(run) if make else None


def _by_maps(run: Run) -> Measure:
    scorer = over_devices(make_scorer(run.method, maps=True))
    plan, settings = run.system.scoring, run.settings

    def value(member: ScoringState) -> float:
        mapper = partial(map_images, scorer, member, tiling=plan.tiling, names=(plan.score,))
        trial = try_on(mapper, run.holdout, settings.seed)
        smoothings = (settings.score.smoothing,)
        excluded = run.method.excluded_families
        return -rank(trial, smoothings=smoothings, excluded_families=excluded)[0].value

    return partial(_each, run, value)


def _by_tiles(run: Run) -> Measure:
    size, plan = run.sampling.patch_size, run.system.scoring
    tiles = plant_tiles(run.holdout, size, run.settings.seed)
    scorer = over_devices(make_scorer(run.method))

    def value(member: ScoringState) -> float:
        scored = score_items(
            scorer,
            member,
            tiles.images,
            tiles.items,
            patch_size=size,
            chunk=plan.chunk,
            label="validating",
        )
        scores = scored.values[plan.score]
        return -auroc_of_families(tiles, scores, run.method.excluded_families)

    return partial(_each, run, value)


def _each(
    run: Run, value: Callable[[ScoringState], float], group: TrainState, first: int
) -> np.ndarray:
    """The value of every member of a group."""
    members = [scoring_state(run.system, group, number, first) for number in range(len(group.step))]
    return np.array([value(member) for member in members])
