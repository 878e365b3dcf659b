"""The maps of many images, by score."""

from collections.abc import Collection
from functools import partial

import numpy as np

from semad.run.prepare import Run
from semad.scoring.batched import Scorer, ScoringState
from semad.scoring.kept_maps import map_and_keep
from semad.scoring.maps import Maps, map_images
from semad.scoring.unfinished import Unfinished

MapLists = dict[str, list[np.ndarray]]
"""Score name -> a map (H, W) per image."""


def map_all(
    run: Run,
    scorer: Scorer,
    member: ScoringState,
    images: list[np.ndarray],
    label: str,
    unfinished: Unfinished,
    names: Collection[str] = (),
) -> MapLists:
    """The maps of all scores of many images, each 4 bytes per pixel.

    Args:
      run: of `semad.run.prepare.prepare`.
      scorer: of `make_scorer(run.method, maps=True)`.
      member: that scores.
      images: (H, W, C) each.
      label: for the progress bar, and for what is kept.
      unfinished: keeps the maps so far, and has what an earlier call kept.
      names: of the scores whose maps are wanted; none for all.
    """
    smoothing = run.settings.score.smoothing
    mapper = partial(
        map_images,
        scorer,
        member,
        tiling=run.system.scoring.tiling,
        smoothing=smoothing,
        names=names,
    )
    return stack(map_and_keep(mapper, images, label, unfinished))


def stack(maps: list[Maps]) -> MapLists:
    """A list of maps per score, from the maps of each image."""
    return {name: [image_maps[name] for image_maps in maps] for name in maps[0]}
