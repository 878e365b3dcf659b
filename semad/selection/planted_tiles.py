"""How well a score tells tiles with planted defects from normal tiles: a learning curve, no label.

The thesis' protocol scores tiles, and a system may learn for hours: this says whether it still gets
better at what it is for, without a test image.
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np
from sklearn.metrics import roc_auc_score

from semad.data.patches import tile_items
from semad.data.tiles import TILE, tile_labels
from semad.selection.validator import WEIGHTS, thin
from semad.synthetic.planted import FAMILIES, plant


class PlantedTiles(NamedTuple):
    """Normal tiles, and tiles on planted defects.

    Attributes:
      images: the normal ones, then each with each family of defects.
      items: int32 (N, 3), rows of (image, top, left).
      families: (N,), the defect's family; the empty string for a normal tile.
    """

    images: list[np.ndarray]
    items: np.ndarray
    families: np.ndarray


def plant_tiles(normal: Sequence[np.ndarray], patch_size: int, seed: int = 0) -> PlantedTiles:
    """All tiles of normal images, and those of the planted ones that the thesis' rule calls
    anomalous.

    Args:
      normal: held-out images, (H, W, C) each; of very many an even share is taken.
      patch_size: in pixels; the stride is half of it.
      seed: of the defects.
    """
    clean = thin(normal)
    size = min(TILE, *(side for image in clean for side in image.shape[:2]))
    planted = plant(clean, [size], seed)
    images = [*clean, *(defect.image for defect in planted)]
    masks = [np.zeros(image.shape[:2], bool) for image in clean] + [
        defect.mask for defect in planted
    ]
    items = tile_items(images, patch_size, max(1, patch_size // 2))
    anomalous = tile_labels(masks, items, patch_size)
    names = np.array([""] * len(clean) + [defect.family for defect in planted])[items[:, 0]]
    kept = (names == "") | anomalous
    return PlantedTiles(images, items[kept], names[kept])


def auroc_of_families(
    tiles: PlantedTiles, scores: np.ndarray, excluded_families: Collection[str] = ()
) -> float:
    """The weighted mean over families of the AUROC of their tiles against all normal ones.

    Args:
      tiles: what was scored.
      scores: (N,), higher is more anomalous.
      excluded_families: families that do not count; see `semad.types.Method`.
    """
    normal = scores[tiles.families == ""]
    values, weights = [], []
    for name in FAMILIES:
        planted_scores = scores[tiles.families == name]
        if name in excluded_families or not len(planted_scores):
            continue
        labels = np.repeat([False, True], [len(normal), len(planted_scores)])
        values.append(roc_auc_score(labels, np.concatenate([normal, planted_scores])))
        weights.append(WEIGHTS[name])
    return float(np.average(values, weights=weights))
