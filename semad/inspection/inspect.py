"""`--mode score`: a folder of micrographs in, scores, maps, masks and measured defects out."""

import logging
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tifffile
from PIL import Image
from tqdm import tqdm

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
from semad.scoring.regions import Region, regions

_log = logging.getLogger(__name__)


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
      output: a new folder, or that of an earlier call with the same detector.

    Raises:
      UserError: for nothing to inspect, or an output folder of something else. A file that cannot
        be read is no error: its record says why.
    """
    start = time.perf_counter()
    items = find(images, output)
    records.open_output(output, describe(detector))
    found: list[Record] = []
    scored = 0
    pace = Pace("scoring", len(items), "a larger --config.score.stride is quicker")
    try:
        for item in tqdm(items, "scoring", unit="image", leave=False):
            record, new = _inspect_once(detector, item, output)
            found.append(record)
            scored += new
            if new:
                pace.tick(len(found))
    finally:  # when stopped, the tables say what there is
        records.write_tables(output, found, detector.thresholds_.image)
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
    try:
        digest = checksum(item.path)
        if record := records.load(output, item, digest):
            return record, False
        record = {"file": item.name, "sha256": digest, "key": item.key}
        record |= _inspect(detector, item, output)
    except (UserError, ValueError) as error:
        _log.warning("%s: skipped: %s", item.name, error)
        return {"file": item.name, "verdict": UNREADABLE, "error": str(error)}, True
    records.store(output, item, record)
    return record, True


def _inspect(detector: Detector, item: Item, output: Path) -> Record:
    config = detector.config_
    tags = read_tags(item.path)
    image = _crop(read_image(item.path, config.data.channels), config.score.data_bar, tags)
    values = detector.anomaly_map(image)
    mask = detector.segment_map(values)
    found = regions(values, mask)
    _write_images(output, item.key, image, values, mask, found)
    scale = config.score.nm_per_pixel or tags.nm_per_pixel
    return {
        "score": detector.score_map(values),
        "verdict": "anomalous" if mask.any() else "normal",
        "width": image.shape[1],
        "height": image.shape[0],
        "nm_per_pixel": scale,
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
    pictures = {
        "masks": Image.fromarray(mask.astype(np.uint8) * 255),
        "overlays": outline(image, mask, [one.box for one in found]),
    }
    for folder, picture in pictures.items():
        write_bytes(
            output / f"{folder}/{key}.png", lambda file, one=picture: one.save(file, format="PNG")
        )
