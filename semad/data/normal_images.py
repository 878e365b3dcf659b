"""Normal images, and which of their rows training sees; the others are held out."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from semad.data.source import Source
from semad.errors import UserError

WHOLE = 10
"""From so many normal images on, whole ones are held out."""

_PIXELS = 2**25
"""Of many images as many are kept, evenly spread, as this allows."""
_SEEN = 256
"""Images that training sees and thresholds may be made of, at most, held-out ones counted in."""


class NormalImages(NamedTuple):
    """Normal images, each trained on from its top down to a row.

    Attributes:
      images: (H, W, C) each.
      seen: of each, how many rows training sees: none of a held-out image, all of another.
      part: of a whole image that each held-out one is, on average; 1 for whole ones.
      names: of each; empty ones where they are not known.
    """

    images: list[np.ndarray]
    seen: list[int]
    part: float
    names: list[str]

    @property
    def train(self) -> list[np.ndarray]:
        """What training sees."""
        pairs = zip(self.images, self.seen, strict=True)
        return [image[:rows] for image, rows in pairs if rows]

    @property
    def holdout(self) -> list[np.ndarray]:
        """What it does not."""
        pairs = zip(self.images, self.seen, strict=True)
        return [image[rows:] for image, rows in pairs if rows < len(image)]

    def thinned(self) -> "NormalImages":
        """Evenly spread ones of many, of those held out and of those trained on."""
        held = [number for number, rows in enumerate(self.seen) if rows < len(self.images[number])]
        trained = [number for number in range(len(self.images)) if number not in set(held)]
        kept = _thin(held, self.images, len(held))
        kept += _thin(trained, self.images, max(0, _SEEN - len(kept)))
        kept.sort()
        return NormalImages(
            [self.images[i] for i in kept],
            [self.seen[i] for i in kept],
            self.part,
            [self.names[i] for i in kept],
        )


def split(source: Source, share: float, patch_size: int) -> NormalImages:
    """Normal images for training, and normal images that training never sees.

    With ten images or more, whole images are held out, evenly spread over their order. With
    fewer, the bottom rows of each are, since micrographs of one sample differ among themselves
    and a single one would stand for all.

    Args:
      source: as `semad.data.patches.fit` returns it.
      share: of the images or of the rows, in (0, 1).
      patch_size: no part may be smaller than this.

    Raises:
      UserError: when a part would be smaller than a patch.
    """
    images, names = list(source.train), list(source.train_ids)
    rows = [image.shape[0] for image in images]
    if len(images) >= WHOLE:
        held = set(np.linspace(0, len(images) - 1, math.ceil(share * len(images)), dtype=int))
        seen = [0 if number in held else count for number, count in enumerate(rows)]
        return NormalImages(images, seen, 1.0, names)
    seen = [count - max(patch_size, round(share * count)) for count in rows]
    if min(seen) < patch_size:
        raise UserError(
            f"{source.name}: {len(images)} normal images of {min(rows)} rows "
            f"cannot give both training and held-out patches of {patch_size} pixels; add normal "
            "images (ten or more), or set a smaller --config.data.patch_size"
        )
    return NormalImages(images, seen, 1 - sum(seen) / sum(rows), names)


def _thin(numbers: list[int], images: Sequence[np.ndarray], most: int) -> list[int]:
    if not numbers or not most:
        return []
    largest = max(images[number].size for number in numbers)
    count = max(1, min(len(numbers), most, _PIXELS // largest))
    return [numbers[i] for i in np.linspace(0, len(numbers) - 1, count, dtype=int)]
