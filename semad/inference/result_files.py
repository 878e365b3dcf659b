"""The files of an inspected image: map, mask, outlined defects, and its part of the report."""

import hashlib
import uuid
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import tifffile
from PIL import Image

from semad.inference.map_levels import to_bytes
from semad.inference.records import RESULTS
from semad.inference.report_data import THUMBNAIL, jpeg, script
from semad.pictures import grey_picture, outline
from semad.scoring.regions import Region
from semad.utils.files import write_bytes


class Inspected(NamedTuple):
    """An image, and what is known of it.

    Attributes:
      pixels: (H, W, C), uint8 or uint16.
      values: its map, float32 (H, W).
      mask: bool (H, W), the defects.
      defects: the same, measured.
      label: bool (H, W), what a person marked as a defect; None where nobody did.
      nm_per_pixel: the scale, if known.
    """

    pixels: np.ndarray
    values: np.ndarray
    mask: np.ndarray
    defects: list[Region]
    label: np.ndarray | None
    nm_per_pixel: float | None


def write_results(output: Path, key: str, image: Inspected, levels: np.ndarray) -> None:
    """Writes the files of an image, `records.RESULTS`.

    Args:
      output: the folder of results.
      key: of the image.
      image: what there is of it.
      levels: see `semad.inference.map_levels`.

    Raises:
      CannotWrite: on a full disk and the like.
    """
    of_map, of_mask, of_overlay, of_list, of_report = (
        output / name.format(key) for name in RESULTS
    )
    write_bytes(of_map, lambda file: _write_map(file, image.values, image.nm_per_pixel))
    mask = Image.fromarray(image.mask.view(np.uint8) * np.uint8(255))
    write_bytes(of_mask, lambda file: mask.save(file, "PNG"))
    picture = grey_picture(image.pixels)
    overlay = outline(picture, image.mask, [region.box for region in image.defects])
    write_bytes(of_overlay, lambda file: overlay.save(file, "PNG"))
    write_bytes(of_list, lambda file: file.write(jpeg(picture, THUMBNAIL, 60)))
    data = script(key, picture, to_bytes(image.values, levels), image.label)
    write_bytes(of_report, lambda file: file.write(data))


def _write_map(file: BinaryIO, values: np.ndarray, nm_per_pixel: float | None) -> None:
    """A map as OME-TIFF, with the size of a pixel where it is known."""
    # By the content, so that the same map is the same file.
    digest = hashlib.sha256(np.ascontiguousarray(values).data).digest()
    metadata: dict[str, Any] = {
        "axes": "YX",
        "Name": "anomaly map",
        "UUID": str(uuid.UUID(bytes=digest[:16])),
    }
    options: dict[str, Any] = {}
    if nm_per_pixel:
        metadata |= {f"PhysicalSize{axis}": nm_per_pixel for axis in "XY"}
        metadata |= {f"PhysicalSize{axis}Unit": "nm" for axis in "XY"}
        options = {"resolution": (1e7 / nm_per_pixel,) * 2, "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(file, values, ome=True, metadata=metadata, **options)
