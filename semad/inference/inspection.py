"""`--mode score`: a folder of micrographs in, scores, maps, masks and measured defects out."""

import logging
import time
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import tifffile
from PIL import Image
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from semad.data.images import read_image
from semad.data.microscope import Microscope, read_tags
from semad.errors import UserError
from semad.inference import records
from semad.inference.detector import Detector
from semad.inference.image_files import Item, checksum, find
from semad.inference.records import UNREADABLE, Record
from semad.plots import outline
from semad.scoring.maps import QUICKER
from semad.scoring.regions import Region, regions
from semad.utils.eta import EtaWarning
from semad.utils.files import write_bytes

_log = logging.getLogger(__name__)

THUMBNAIL = 720
"""Pixels of the longer side of a picture in the report."""


class Inspection(NamedTuple):
    """What an inspection found.

    Attributes:
      records: one per image, in the order of their names.
      scored: how many were scored now; the others had been before.
      seconds: that this took.
    """

    records: list[Record]
    scored: int
    seconds: float


def inspect(detector: Detector, images: Path, output: Path) -> Inspection:
    """Inspects every image that has not been, and writes the tables over all of them.

    Args:
      detector: a trained one.
      images: a file or a folder.
      output: a new folder, or that of an earlier call with the same detector and images.

    Raises:
      UserError: for nothing to inspect, or an output folder of something else. A file that cannot
        be read is no error: its record says why.
    """
    start = time.perf_counter()
    items = find(images, output)
    records.open_output(output, describe(detector) | {"images": str(images.resolve())})
    inspected: list[Record] = []
    scored = 0
    eta = EtaWarning("scoring", len(items), QUICKER)
    try:
        with logging_redirect_tqdm([logging.getLogger("semad")]):
            for item in tqdm(items, "scoring", unit="image", leave=False):
                record, new = _inspect_once(detector, item, output)
                inspected.append(record)
                scored += new
                if new:
                    eta.tick(len(inspected))
    finally:  # when stopped, the tables say what there is, of earlier calls too
        earlier = [records.load(output, item) for item in items[len(inspected) :]]
        known = [*inspected, *(record for record in earlier if record)]
        records.write_tables(output, known, detector.thresholds_.image)
    return Inspection(inspected, scored, time.perf_counter() - start)


def describe(detector: Detector) -> dict[str, Any]:
    """What results depend on beside the images: results of two detectors are told apart by it."""
    settings = detector.settings_
    about = {"system": settings.method, "score": detector.system_.scoring.score}
    about |= {f"config.score.{name}": value for name, value in settings.score}
    # Thresholds stand for the weights; to five digits, since another machine may round otherwise.
    limits = detector.thresholds_._asdict().items()
    return about | {f"threshold.{name}": float(f"{value:.5g}") for name, value in limits}


def _inspect_once(detector: Detector, item: Item, output: Path) -> tuple[Record, bool]:
    """The record of an image, and whether it was made now."""
    settings = detector.settings_.score
    try:
        tags = read_tags(item.path)
        scale = settings.nm_per_pixel or tags.nm_per_pixel
        origin: Record = {"file": item.name, "key": item.key, "sha256": checksum(item.path)}
        origin["nm_per_pixel"] = scale
        stored = records.load(output, item)
        if stored and stored.items() >= origin.items():
            return stored, False
        image = read_image(item.path, detector.settings_.data.channels)
        image = _crop(image, settings.data_bar, tags)
        values = detector.anomaly_map(image)
    except (UserError, ValueError, OSError) as error:
        _log.warning("%s: skipped: %s", item.name, error)
        return {"file": item.name, "verdict": UNREADABLE, "error": str(error)}, True
    record = origin | _measure(detector, item, output, image, values, scale)
    records.store(output, item, record)
    return record, True


def _measure(
    detector: Detector,
    item: Item,
    output: Path,
    image: np.ndarray,
    values: np.ndarray,
    scale: float | None,
) -> Record:
    score = detector.score_map(values)
    mask = detector.segment_map(values, score)
    defects = regions(values, mask)
    _write_images(output, item.key, image, values, mask, defects)
    return {
        "score": score,
        "verdict": "anomalous" if score > detector.thresholds_.image else "normal",
        "width": image.shape[1],
        "height": image.shape[0],
        "defects": [_measures(number, region, scale) for number, region in enumerate(defects, 1)],
    }


def _crop(image: np.ndarray, data_bar: int, tags: Microscope) -> np.ndarray:
    """The image without its data bar: so many rows, or what the tags say (-1)."""
    rows = (tags.image_rows or len(image)) if data_bar == -1 else len(image) - data_bar
    if rows < 1:
        raise ValueError(
            f"config.score.data_bar is {data_bar}, but the image has {len(image)} rows"
        )
    return image[:rows]


def _measures(number: int, region: Region, nm_per_pixel: float | None) -> Record:
    top, left, bottom, right = region.box
    row, column = region.centroid
    area = None if nm_per_pixel is None else region.area * (nm_per_pixel / 1000) ** 2
    return {
        "defect": number,
        "left": left,
        "top": top,
        "right": right,
        "bottom": bottom,
        "centroid_x": round(column, 2),
        "centroid_y": round(row, 2),
        "area_pixels": region.area,
        "area_um2": area,
        "peak_score": region.peak,
    }


def _write_images(
    output: Path,
    key: str,
    image: np.ndarray,
    values: np.ndarray,
    mask: np.ndarray,
    defects: list[Region],
) -> None:
    write_bytes(output / f"maps/{key}.tif", lambda file: tifffile.imwrite(file, values))
    overlay = outline(image, mask, [region.box for region in defects])
    small = overlay.copy()
    small.thumbnail((THUMBNAIL, THUMBNAIL))
    pictures = {
        f"masks/{key}.png": Image.fromarray(mask.astype(np.uint8) * 255),
        f"overlays/{key}.png": overlay,
        f"records/{key}.jpg": small,  # for the report
    }
    for name, picture in pictures.items():
        write_bytes(output / name, partial(_save_picture, picture, name.endswith("png")))


def _save_picture(picture: Image.Image, lossless: bool, file: BinaryIO) -> None:
    picture.save(file, "PNG" if lossless else "JPEG", quality=85)
