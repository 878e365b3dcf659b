"""Dense maps: an anomaly score for every pixel of an image, blended from overlapping patches.

A patch has a value per pixel for the residual scores (`l1`, `l2`, `ssim`), and one value for all
its pixels for others. A pixel's score is the mean over the patches that cover it,
weighted by a window that falls off smoothly towards a patch's borders, where reconstructions are
worst. The program that scores patches knows nothing of image sizes, so it is compiled once.
Convolutional systems score large windows in place of patches, each in one pass. Where the levels of
an image's pyramid are mapped, the map is the mean over them.
"""

from collections.abc import Collection, Iterator, Sequence
from functools import partial

import numpy as np
from scipy import ndimage
from tqdm import tqdm

from semad.scoring.batched import PatchScores, Scorer, ScoringStates, cut
from semad.scoring.chunks import score_chunks
from semad.scoring.tiling import MapTiling, Patches, lay, mirror, window
from semad.utils.eta import BAR_DELAY
from semad.utils.pyramid import enlarge, pyramid

QUICKER = "a larger --config.score.stride is quicker, where --config.score.window is 0"

Maps = dict[str, np.ndarray]
"""Score name -> float32 (H, W), higher is more anomalous."""


def anomaly_maps(
    scorer: Scorer,
    member: ScoringStates,
    image: np.ndarray,
    tiling: MapTiling,
    *,
    smoothing: float = 0.0,
    names: Collection[str] = (),
) -> Maps:
    """Maps of an image of any size from one patch up; every pixel is covered.

    Args:
      scorer: of `make_scorer(method, maps=True)`.
      member: whose scores; the same for all images.
      image: (H, W, C), uint8 or uint16.
      tiling: how patches or windows cover it.
      smoothing: σ in pixels of a Gaussian filter over each map; 0 is none.
      names: of the scores whose maps are wanted; none for all. A map takes 4 bytes per pixel,
        and hardly more while it is made, but twice as much with a pyramid.

    Raises:
      ValueError: for an image smaller than a patch, or a stride larger than one.
    """
    maps: Maps = {}
    for level, reduced in enumerate(pyramid(image, tiling.levels, tiling.patch_size)):
        fitted = tiling.fit(*reduced.shape[:2])
        for name, values in _blend(scorer, member, lay(reduced, fitted), fitted, names).items():
            large = enlarge(values, level, image.shape[:2])
            if level:
                maps[name] += large
            else:
                maps[name] = large
    for values in maps.values():
        if tiling.levels > 1:
            values /= tiling.levels
        smooth(values, smoothing, out=values)
    return maps


def _blend(
    scorer: Scorer,
    member: ScoringStates,
    patches: Patches,
    tiling: MapTiling,
    names: Collection[str],
) -> Maps:
    """The weighted means over patches.

    Large images leave room for one array of their size per map. So sums become means in place, band
    by band: rows above the patches of the moment are complete, and weights are summed for the rows
    of these patches alone.
    """
    image, size, corners, mirrored = patches
    chunk = tiling.chunk
    weight = window(size)
    shares = np.zeros((size, image.shape[1]), np.float32)  # of the rows from `band` on
    band = 0
    maps: Maps = {}
    chunks = score_chunks(
        scorer, member, patches.cut, len(corners), chunk, calls_at_once=tiling.calls_at_once
    )
    total = -(-len(corners) // chunk)
    # The bar shows itself only for an image that takes long.
    for start, scored in tqdm(
        chunks, "one image", total, unit="chunk", leave=False, delay=BAR_DELAY
    ):
        turned = mirrored[start : start + chunk]
        parts = {
            name: mirror(values, turned) * weight
            for name, values in _everywhere(scored, names).items()
        }
        maps = maps or {name: np.zeros(image.shape[:2], np.float32) for name in parts}
        for number, (top, left) in enumerate(corners[start : start + chunk]):
            if done := top - band:
                _divide(maps, band, shares[:done])
                shares = np.concatenate([shares[done:], np.zeros_like(shares[:done])])
                band = top
            columns = slice(left, left + size)
            shares[:, columns] += weight
            for name, values in parts.items():
                maps[name][top : top + size, columns] += values[number]
    _divide(maps, band, shares)
    return maps


def _divide(maps: Maps, top: int, shares: np.ndarray) -> None:
    """Turns sums into means, in place, in the rows from `top` on that `shares` are of."""
    for values in maps.values():
        values[top : top + len(shares)] /= shares


def _everywhere(scored: PatchScores[np.ndarray], names: Collection[str]) -> Maps:
    """The wanted scores as (N, P, P), or (N, 1, 1) where all pixels of a patch have the same."""
    whole = {name: values[:, None, None] for name, values in scored.scores.items()}
    return {n: values for n, values in (whole | scored.maps).items() if not names or n in names}


def map_images(
    scorer: Scorer,
    member: ScoringStates,
    images: Sequence[np.ndarray],
    tiling: MapTiling,
    *,
    smoothing: float = 0.0,
    names: Collection[str] = (),
) -> Iterator[Maps]:
    """The maps of many images, in order; images of one patch each share the calls of a chunk.

    Args:
      images: (H, W, C) each, uint8 or uint16, all of one dtype.
      scorer, member, tiling, smoothing, names: see `anomaly_maps`.

    Raises:
      ValueError: for an image smaller than a patch, or a stride larger than one.
    """
    size = tiling.patch_size
    if tiling.levels > 1 or not all(image.shape[:2] == (size, size) for image in images):
        for image in images:
            yield anomaly_maps(scorer, member, image, tiling, smoothing=smoothing, names=names)
        return
    parts = partial(_stack, images)
    chunks = score_chunks(
        scorer, member, parts, len(images), tiling.chunk, calls_at_once=tiling.calls_at_once
    )
    for start, scored in chunks:
        values = _everywhere(scored, names)
        for number in range(min(tiling.chunk, len(images) - start)):
            yield {
                name: smooth(np.broadcast_to(patch_values[number], (size, size)), smoothing)
                for name, patch_values in values.items()
            }


def _stack(images: Sequence[np.ndarray], rows: slice) -> np.ndarray:
    return np.stack(images[rows])


def smooth(values: np.ndarray, sigma: float, out: np.ndarray | None = None) -> np.ndarray:
    """A Gaussian filter of σ pixels, mirrored at the borders; 0 changes nothing.

    Args:
      values: (H, W).
      sigma: σ in pixels.
      out: takes the result; it may be `values`, since SciPy filters line by line through a buffer.
        None makes a new array.
    """
    return ndimage.gaussian_filter(values, sigma, mode="reflect", output=out) if sigma else values


def pool(values: np.ndarray, corners: np.ndarray, patch_size: int) -> dict[str, np.ndarray]:
    """Tile scores from a map (H, W): its maximum and its mean inside each tile.

    Args:
      values: one map.
      corners: (N, 2), rows of (top, left).
      patch_size: of the tiles.

    Returns:
      `max` and `mean` -> (N,).
    """
    tiles = cut(values[..., None], corners, patch_size)[..., 0]
    return {"max": tiles.max(axis=(1, 2)), "mean": tiles.mean(axis=(1, 2))}
