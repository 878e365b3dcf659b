"""The pictures of an inspected image: its map, its mask, its outlined defects."""

from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

from semad.inference.records import RESULTS
from semad.plots import outline
from semad.scoring.regions import Region
from semad.utils.files import write_bytes

THUMBNAIL = 720
"""Pixels of the longer side of a picture in the report."""


def write_results(
    output: Path,
    key: str,
    image: np.ndarray,
    values: np.ndarray,
    mask: np.ndarray,
    defects: list[Region],
) -> None:
    """Writes the files of an image, `records.RESULTS`.

    Args:
      output: the folder of results.
      key: of the image.
      image: (H, W, C), uint8 or uint16.
      values: its map, float32 (H, W).
      mask: bool (H, W), the defects.
      defects: the same, measured.

    Raises:
      CannotWrite: on a full disk and the like.
    """
    of_map, of_mask, of_overlay, of_report = (output / name.format(key) for name in RESULTS)
    write_bytes(of_map, lambda file: tifffile.imwrite(file, values))
    grey = Image.fromarray(mask.view(np.uint8) * np.uint8(255))
    write_bytes(of_mask, lambda file: grey.save(file, "PNG"))
    overlay = outline(image, mask, [region.box for region in defects])
    write_bytes(of_overlay, lambda file: overlay.save(file, "PNG"))
    overlay.thumbnail((THUMBNAIL, THUMBNAIL))
    write_bytes(of_report, lambda file: overlay.save(file, "JPEG", quality=85))
