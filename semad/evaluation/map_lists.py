"""The maps of many images, by score, made so that a stop in the middle loses little."""

import numpy as np
from tqdm import tqdm

from semad.run.prepare import Run
from semad.scoring.batched import Scorer, ScoringState
from semad.scoring.maps import QUICKER, Maps, map_images
from semad.scoring.unfinished import Block, Unfinished
from semad.utils.eta import EtaWarning

MapLists = dict[str, list[np.ndarray]]
"""Score name -> a map (H, W) per image."""


def map_all(
    run: Run,
    scorer: Scorer,
    member: ScoringState,
    images: list[np.ndarray],
    label: str,
    unfinished: Unfinished,
) -> MapLists:
    """The maps of all scores of many images, each 4 bytes per pixel.

    Args:
      run: of `semad.run.prepare.prepare`.
      scorer: of `make_scorer(run.method, maps=True)`.
      member: that scores.
      images: (H, W, C) each.
      label: for the progress bar, and for what is kept.
      unfinished: keeps the maps so far, and has what an earlier call kept.
    """
    blocks = unfinished.read(label)
    number, mapped = len(blocks), [maps for block in blocks for maps in _from_block(block)]
    maps = map_images(
        scorer,
        member,
        images[len(mapped) :],
        run.system.scoring.tiling,
        smoothing=run.settings.score.smoothing,
    )
    eta, saved = EtaWarning(label, len(images), QUICKER), len(mapped)
    for image_maps in tqdm(maps, label, len(images) - saved, unit="image", leave=False):
        mapped.append(image_maps)
        eta.tick(len(mapped))
        if unfinished.due():
            unfinished.append(label, number, _block(mapped[saved:]))
            number, saved = number + 1, len(mapped)
    return stack(mapped)


def _block(maps: list[Maps]) -> Block:
    """The maps of some images as arrays `<number>/<score>`."""
    return {
        f"{i}/{name}": values
        for i, image_maps in enumerate(maps)
        for name, values in image_maps.items()
    }


def _from_block(block: Block) -> list[Maps]:
    maps: dict[int, Maps] = {}
    for key, values in block.items():
        number, _, name = key.partition("/")
        maps.setdefault(int(number), {})[name] = values
    return [maps[number] for number in range(len(maps))]


def stack(maps: list[Maps]) -> MapLists:
    """A list of maps per score, from the maps of each image."""
    return {name: [image_maps[name] for image_maps in maps] for name in maps[0]}
