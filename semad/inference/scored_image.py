"""One image of an inspection: read, mapped, segmented, measured, and written."""

import logging
from pathlib import Path
from typing import NamedTuple

import numpy as np
import psutil

from semad.data.images import Picture, Reading, degenerate, read_mask, read_picture
from semad.errors import UserError
from semad.inference import records
from semad.inference.appearance import WHOLE, Appearance, appearance, differences
from semad.inference.detector import Detector
from semad.inference.fibre_table import measure_fibres
from semad.inference.image_files import Inputs, Item, label_of
from semad.inference.map_levels import Sliders
from semad.inference.records import ANOMALOUS, DEGENERATE, NORMAL, Record, left_out, measures
from semad.inference.result_files import Inspected, write_results
from semad.scoring.regions import regions

_log = logging.getLogger(__name__)

_BYTES_PER_PIXEL = 10
"""A map, labels or an overlay, a mask, and what is at hand of a band; measured."""


class Work(NamedTuple):
    """What an inspection is made with.

    Attributes:
      detector: a trained one.
      reading: how files become images.
      sliders: settings that the report offers.
      output: the folder of results.
      inputs: all files.
      earlier: what an earlier call scored, by the name of the file.
      normal: how normal images look; filled when first needed.
    """

    detector: Detector
    reading: Reading
    sliders: Sliders
    output: Path
    inputs: Inputs
    earlier: dict[str, list[Item]]
    normal: list[Appearance]


def score_image(work: Work, item: Item, origin: Record) -> Record:
    """Reads, maps, segments and measures an image, and writes what there is to write of it."""
    detector, settings = work.detector, work.detector.settings_.score
    picture = read_picture(item.path, work.reading, item.page)
    pixels = picture.pixels
    if reason := degenerate(pixels):
        _log.warning("%s: %s", item.name, reason)
        return left_out(item.name, reason, True, DEGENERATE)
    _check_memory(*pixels.shape[:2])
    values = detector.anomaly_map(pixels)
    score = detector.score_map(values)
    mask = detector.segment_map(values, score)
    unlike = _unlike(work, pixels) if mask.mean() > WHOLE else None
    if unlike:
        mask[...] = False  # it has no outline
    defects = regions(values, mask)
    scale = settings.nm_per_pixel or picture.nm_per_pixel
    label, cautions = _label(item, picture)
    image = Inspected(pixels, values, mask, defects, label, scale)
    records.store(work.output, item, {"verdict": None})
    try:
        write_results(work.output, item.key, image, work.sliders.levels)
        fibres = measure_fibres(work.output, item.key, pixels, mask) if settings.fibres else {}
    except Exception:
        records.remove(work.output, item.key)  # part of them would stand there without a verdict
        raise
    record: Record = origin | {
        "score": score,
        "verdict": ANOMALOUS if score > detector.thresholds_.image else NORMAL,
        "width": pixels.shape[1],
        "height": pixels.shape[0],
        "nm_per_pixel": scale,
        "cautions": [*picture.cautions, *cautions],
        "unlike": unlike,
        "defects": [measures(number, region, scale) for number, region in enumerate(defects, 1)],
    }
    return records.store(work.output, item, record | fibres)


def _label(item: Item, picture: Picture) -> tuple[np.ndarray | None, list[str]]:
    """What a person marked in an image, if anybody did, and why that cannot be used."""
    path = label_of(item)
    if path is None:
        return None, []
    try:
        return read_mask(path, picture.pixels.shape[:2], picture.rows), []
    except UserError as error:
        return None, [str(error)]


def _unlike(work: Work, pixels: np.ndarray) -> str:
    """That an image as a whole is unlike the training images, and in which way."""
    if not work.normal:
        work.normal.extend(appearance(image) for image in work.detector.normal_.images)
    how = differences(pixels, work.normal)
    known = "; ".join(how) or "but in none of brightness, contrast, noise, focus and scale"
    return f"unlike the training images as a whole: {known}"


def _check_memory(height: int, width: int) -> None:
    """Raises a MemoryError for what the system would kill the process for, or swap."""
    needed, free = _BYTES_PER_PIXEL * height * width, psutil.virtual_memory().available
    if needed > free:
        raise MemoryError(
            f"mapping {width}×{height} pixels takes {needed / 1e9:.1f} GB of memory and "
            f"{free / 1e9:.1f} GB are free; cut the image into parts"
        )
