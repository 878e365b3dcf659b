"""`--mode score`: a folder of micrographs in, scores, maps, masks and measured defects out."""

import logging
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tifffile
from PIL import Image
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from semad import config as configs
from semad import experiment
from semad.data.images import read_image
from semad.data.microscope import Microscope, read_tags
from semad.detector import Detector
from semad.errors import UserError
from semad.evaluation.figures import outline
from semad.files import write_bytes
from semad.inspection import records
from semad.inspection.files import Item, checksum, find
from semad.inspection.records import UNREADABLE, Record
from semad.pace import Pace
from semad.scoring.maps import QUICKER
from semad.scoring.regions import Region, regions

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
    found: list[Record] = []
    scored = 0
    pace = Pace("scoring", len(items), QUICKER)
    try:
        with logging_redirect_tqdm([logging.getLogger("semad")]):
            for item in tqdm(items, "scoring", unit="image", leave=False):
                record, new = _inspect_once(detector, item, output)
                found.append(record)
                scored += new
                if new:
                    pace.tick(len(found))
    finally:  # when stopped, the tables say what there is, of earlier calls too
        rest = [record for item in items[len(found) :] if (record := records.load(output, item))]
        records.write_tables(output, found + rest, detector.thresholds_.image)
    return Inspection(found, scored, time.perf_counter() - start)


def describe(detector: Detector) -> dict[str, Any]:
    """What results depend on beside the images: results of two detectors are told apart by it."""
    config = detector.config_
    about = {"system": config.method, "score": experiment.score_name(config, detector.method_)}
    about |= configs.flatten(config.score, "config.score.")
    # Thresholds stand for the weights; to five digits, since another machine may round otherwise.
    limits = detector.thresholds_._asdict().items()
    return about | {f"threshold.{name}": float(f"{value:.5g}") for name, value in limits}


def _inspect_once(detector: Detector, item: Item, output: Path) -> tuple[Record, bool]:
    """The record of an image, and whether it was made now."""
    settings = detector.config_.score
    try:
        tags = read_tags(item.path)
        scale = settings.nm_per_pixel or tags.nm_per_pixel
        origin = {"file": item.name, "key": item.key, "sha256": checksum(item.path)}
        origin["nm_per_pixel"] = scale
        record = records.load(output, item)
        if record and record.items() >= origin.items():
            return record, False
        image = read_image(item.path, detector.config_.data.channels)
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
    found = regions(values, mask)
    _write_images(output, item.key, image, values, mask, found)
    return {
        "score": score,
        "verdict": "anomalous" if score > detector.thresholds_.image else "normal",
        "width": image.shape[1],
        "height": image.shape[0],
        "defects": [_measures(number, one, scale) for number, one in enumerate(found, 1)],
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
    found: list[Region],
) -> None:
    write_bytes(output / f"maps/{key}.tif", lambda file: tifffile.imwrite(file, values))
    overlay = outline(image, mask, [one.box for one in found])
    small = overlay.copy()
    small.thumbnail((THUMBNAIL, THUMBNAIL))
    pictures = {
        f"masks/{key}.png": Image.fromarray(mask.astype(np.uint8) * 255),
        f"overlays/{key}.png": overlay,
        f"records/{key}.jpg": small,  # for the report
    }
    for name, picture in pictures.items():
        kind = "PNG" if name.endswith("png") else "JPEG"
        write_bytes(
            output / name, lambda file, one=picture, kind=kind: one.save(file, kind, quality=85)
        )
