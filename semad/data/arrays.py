"""Images given as arrays: the form in which all of semad handles them, or a clear complaint."""

from collections.abc import Sequence

import numpy as np

from semad.data.images import same_depth, to_channels
from semad.data.source import Source

Images = np.ndarray | Sequence[np.ndarray]


def from_array(image: np.ndarray, channels: int) -> np.ndarray:
    """One image as (H, W, channels) of uint8 or uint16.

    Args:
      image: (H, W) or (H, W, 1 to 4); uint8 or uint16, of which the whole range counts, bool, or
        floating point in [0, 1], which becomes uint16.
      channels: 1 for grey, 3 for RGB.

    Raises:
      ValueError: for another shape, dtype or range.
    """
    image = np.asarray(image)
    if image.ndim not in (2, 3) or (image.ndim == 3 and not 1 <= image.shape[2] <= 4):
        raise ValueError(f"an image of shape {image.shape}; it must be (H, W) or (H, W, channels)")
    if image.dtype == bool:
        image = image * np.uint8(255)
    if np.issubdtype(image.dtype, np.floating):
        if not (np.isfinite(image).all() and image.min() >= 0 and image.max() <= 1):
            raise ValueError("a floating-point image must lie in [0, 1]; scale it")
        image = np.round(image.astype(np.float64) * 65535).astype(np.uint16)
    if image.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"an image of {image.dtype}; it must be uint8, uint16 or floating point")
    return to_channels(image, channels)


def from_arrays(images: Images, channels: int) -> list[np.ndarray]:
    """Images (N, H, W), (N, H, W, C), or a sequence of images of any sizes; see `from_array`.

    Where depths are mixed, all come out as uint16.

    Raises:
      ValueError: for none, or for one that `from_array` does not take.
    """
    if isinstance(images, np.ndarray) and images.ndim not in (3, 4):
        raise ValueError(
            f"images of shape {images.shape}; they must be (N, H, W) or (N, H, W, channels)"
        )
    converted = [from_array(image, channels) for image in images]
    if not converted:
        raise ValueError("no images; give at least one")
    return same_depth(converted)


def source_of(images: list[np.ndarray], patch_size: int) -> Source:
    """Training images as a source without a test; small ones are items, one patch each."""
    items = all(max(image.shape[:2]) <= patch_size for image in images)
    return Source(
        name="arrays",
        train=images,
        test=[],
        masks=[],
        labels=np.zeros(0, bool),
        train_ids=[f"image {number}" for number in range(len(images))],
        test_ids=[],
        micrographs=not items,
        oriented=items,
    )
