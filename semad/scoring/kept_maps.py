"""The maps of many images, made so that a stop in the middle loses little."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from tqdm import tqdm

from semad.scoring.maps import QUICKER, Maps
from semad.scoring.unfinished import KEEP_NOTHING, Block, Unfinished
from semad.utils import collective, hosts
from semad.utils.eta import EtaWarning

Mapper = Callable[[Sequence[np.ndarray]], Iterable[Maps]]
"""Images -> their maps, in order."""


def map_and_keep(
    mapper: Mapper,
    images: Sequence[np.ndarray],
    label: str = "",
    unfinished: Unfinished = KEEP_NOTHING,
) -> list[Maps]:
    """The maps of many images, which several processes share, each 4 bytes per pixel and score.

    Args:
      mapper: makes the maps.
      images: (H, W, C) each.
      label: for the progress bar, and for what is kept; none shows no bar.
      unfinished: keeps the maps so far, and has what an earlier call kept.
    """
    kept = unfinished.read(label)
    mapped = [maps for block in kept.blocks for maps in _from_block(block)]
    saved, total = len(mapped), len(images)
    eta = EtaWarning(label, total, QUICKER)
    part = hosts.turns(images[saved:])
    rest = collective.in_turn(mapper(part) if len(part) else (), total - saved)
    bar = tqdm(rest, label, total - saved, unit="image", leave=False, disable=not label)
    try:
        for maps in bar:
            mapped.append(maps)
            if label:
                eta.tick(len(mapped))
            if unfinished.due():
                unfinished.append(label, saved, len(mapped) - saved, _block(mapped[saved:]))
                saved = len(mapped)
    except KeyboardInterrupt:  # a stop, which need not lose the last minute
        unfinished.append(label, saved, len(mapped) - saved, _block(mapped[saved:]))
        raise
    return mapped


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
