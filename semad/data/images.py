"""Images and masks from files: what the rest of semad uses.

One reading path for all containers: a decoder hands over the samples (`semad.data.tiff`,
`semad.data.pillow_formats`), and one step behind either makes an image of them
(`semad.data.samples`), so that what a file means never depends on its compression or on a library.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from semad.config.schema import DataSettings
from semad.data.degenerate import degenerate
from semad.data.files import Reading, pages_of, read_file
from semad.data.labels import read_mask
from semad.data.listing import EXTENSIONS, Listing, Skipped, list_files, list_folders, list_images
from semad.data.samples import to_channels

__all__ = [
    "EXTENSIONS",
    "Listing",
    "Picture",
    "Reading",
    "Skipped",
    "degenerate",
    "list_files",
    "list_folders",
    "list_images",
    "pages_of",
    "read_mask",
    "read_picture",
    "reading_of",
    "same_depth",
    "to_channels",
]


class Picture(NamedTuple):
    """An image, and what is known of it.

    Attributes:
      pixels: (H, W, C), uint8 or uint16 of the full range, upright, without the data bar.
      nm_per_pixel: the side of a pixel, None where it is not known.
      bit_depth: of the values in the file: 8 to 16.
      cautions: what a user should know, in plain sentences without the file's name.
      rows: with the data bar.
    """

    pixels: np.ndarray
    nm_per_pixel: float | None
    bit_depth: int
    cautions: tuple[str, ...]
    rows: int


def reading_of(data: DataSettings) -> Reading:
    """How the files of a config's data are read."""
    return Reading(**{name: value for name, value in data if name in Reading._fields})


def read_picture(path: Path, reading: Reading, page: int | None = None) -> Picture:
    """Reads an image of a TIFF, PNG, JPEG, BMP or WebP; its content decides, not its name.

    Args:
      path: the file.
      reading: how.
      page: one of `pages_of`.

    Raises:
      UserError: the file is missing, empty, damaged, too large, no image or of an unsupported
        kind, or holds several images and `page` is None.
    """
    image = read_file(path, reading, page)
    return Picture(image.pixels, image.nm_per_pixel, image.depth.bits, image.cautions, image.rows)


def same_depth(images: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Returns the images in one dtype: where any is uint16, uint8 ones are scaled by 257."""
    if any(image.dtype == np.uint16 for image in images):
        return [_to_uint16(image) for image in images]
    return list(images)


def _to_uint16(image: np.ndarray) -> np.ndarray:
    return image if image.dtype == np.uint16 else image.astype(np.uint16) * np.uint16(257)
