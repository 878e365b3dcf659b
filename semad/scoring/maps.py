"""Dense maps: an anomaly score for every pixel of an image, blended from overlapping patches.

A patch has a value per pixel for the residual scores (`l1`, `l2`, `ssim`), and one value for all
its pixels for others; `semad.scoring.blending` makes maps of them. The program that scores patches
knows nothing of image sizes, so it is compiled once. Convolutional systems score large windows in
place of patches, each in one pass. Where the levels of an image's pyramid are mapped, the map is
the mean over them.
"""

from collections.abc import Collection, Iterator, Sequence
from functools import partial
from itertools import groupby

import numpy as np
from scipy import ndimage
from tqdm import tqdm

from semad.scoring.batched import PatchScores, Scorer, ScoringStates, cut
from semad.scoring.blending import Blend, Maps, cut_patches, distribute
from semad.scoring.chunks import score_chunks
from semad.scoring.tiling import MapTiling, Patches, lay
from semad.utils.eta import BAR_DELAY
from semad.utils.pyramid import add_enlarged, pyramid

QUICKER = "a larger --config.score.stride is quicker, where --config.score.window is 0"


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
    blended: list[Maps] = []
    reduced = pyramid(image, tiling.levels, tiling.patch_size)
    for fitted, group in groupby(reduced, key=lambda level: tiling.fit(*level.shape[:2])):
        patches = [lay(level, fitted) for level in group]
        blended += _blend(scorer, member, patches, fitted, names)
    maps = blended[0]
    for name, values in maps.items():
        for level, smaller in enumerate(blended[1:], 1):
            add_enlarged(values, smaller[name], level)
        if tiling.levels > 1:
            values /= tiling.levels
        smooth(values, smoothing, out=values)
    return maps


def _blend(
    scorer: Scorer,
    member: ScoringStates,
    images: Sequence[Patches],
    tiling: MapTiling,
    names: Collection[str],
) -> list[Maps]:
    """The maps of images whose patches are as large, and share the calls of a chunk."""
    blends = [Blend(patches) for patches in images]
    count, chunk = sum(len(patches.corners) for patches in images), tiling.chunk
    chunks = score_chunks(
        scorer,
        member,
        partial(cut_patches, images),
        count,
        chunk,
        calls_at_once=tiling.calls_at_once,
    )
    # The bar shows itself only for an image that takes long.
    for start, scored in tqdm(
        chunks, "one image", -(-count // chunk), unit="chunk", leave=False, delay=BAR_DELAY
    ):
        rows = slice(start, start + chunk)
        distribute(images, rows, _everywhere(scored, names), blends)
    return [blend.means() for blend in blends]


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
