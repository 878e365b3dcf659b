"""`--mode score`: a folder of micrographs in, scores, maps, masks and measured defects out."""

import errno
import logging
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
import psutil
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from semad.data.images import Picture, Reading, degenerate, pages_of, read_mask, read_picture
from semad.errors import CannotWrite, UserError
from semad.inference import records
from semad.inference.appearance import WHOLE, Appearance, appearance, differences
from semad.inference.defect_files import write_defect_files
from semad.inference.detector import Detector
from semad.inference.fibre_table import measure_fibres, write_fibres
from semad.inference.image_files import (
    Inputs,
    Item,
    LeftOut,
    description,
    find,
    label_of,
    with_page,
)
from semad.inference.inspection_report import write_report
from semad.inference.map_levels import Sliders, sliders_of
from semad.inference.origin import describe, reading_of
from semad.inference.records import (
    ANOMALOUS,
    DEGENERATE,
    NORMAL,
    UNREADABLE,
    Record,
    left_out,
    measures,
)
from semad.inference.result_files import Inspected, write_results
from semad.scoring.maps import QUICKER
from semad.scoring.regions import regions
from semad.utils.eta import EtaWarning
from semad.utils.locks import folder_lock
from semad.utils.sealed import file_checksum

_log = logging.getLogger(__name__)

_BYTES_PER_PIXEL = 10
"""A map, labels or an overlay, a mask, and what is at hand of a band; measured."""
_OF_THE_NAME = (errno.ENAMETOOLONG, errno.EISDIR, errno.ENOTDIR, errno.EINVAL, errno.EILSEQ)
"""Errors in writing that the next image will not meet."""
_STOPPED = "not reached before scoring was stopped; the same command goes on"


class Inspection(NamedTuple):
    """What an inspection gave.

    Attributes:
      records: one per file or page, in the order of their names.
      scored: how many images were tried now; the others had been scored before.
      seconds: that this took.
    """

    records: list[Record]
    scored: int
    seconds: float


class _Work(NamedTuple):
    detector: Detector
    reading: Reading
    sliders: Sliders
    output: Path
    inputs: Inputs
    earlier: dict[str, list[Item]]
    normal: list[Appearance]  # of normal images; filled when first needed


def inspect(detector: Detector, images: Path, output: Path) -> Inspection:
    """Inspects every image that has not been, and writes tables and report over all of them.

    They are written however it ends; then what was not reached is listed as such.

    Args:
      detector: a trained one.
      images: a file or a folder.
      output: a new folder, or that of an earlier call with the same detector and images.

    Raises:
      UserError: for nothing to inspect, an output folder of something else or in use by another
        process, or a disk that fails. A file that cannot be read is no error: its record says why.
    """
    start = time.perf_counter()
    reading = reading_of(detector)
    inputs = find(images, output, reading.follow_links)
    records.check_new_or_ours(output)
    about = describe(detector) | {"images": str(images.resolve())}
    with folder_lock(output, "score"):
        records.open_output(output, about)
        earlier = _without_stale(records.load_items(output), inputs, output)
        work = _Work(detector, reading, sliders_of(detector), output, inputs, earlier, [])
        known, scored = _inspect_all(work)
    for text, number in Counter(text for one in known for text in one.get("cautions", ())).items():
        _log.warning("%d images: %s", number, text)
    return Inspection(known, scored, time.perf_counter() - start)


def _without_stale(
    earlier: dict[str, list[Item]], inputs: Inputs, output: Path
) -> dict[str, list[Item]]:
    """Removes the results of files that are gone, or whose results go by another name now."""
    present = {item.name: item for item in inputs.items}
    kept: dict[str, list[Item]] = {}
    for name, items in earlier.items():
        for old in items:
            item = present.get(name)
            if item and old.page is not None:
                item = with_page(item, old.page, inputs.taken)
            if item and item.key == old.key:
                kept.setdefault(name, []).append(item)
            else:
                records.remove(output, old.key)
    if gone := sum(name not in present for name in earlier):
        _log.info("removed the results of %d files that are no longer in the folder", gone)
    return kept


def _inspect_all(work: _Work) -> tuple[list[Record], int]:
    """The records of all files, and how many images were tried now; writes tables and report.

    When stopped, these say what there is.
    """
    entries, total = work.inputs.entries, len(work.inputs.items)
    known: list[Record] = []
    scored = done = images = 0
    eta = EtaWarning("scoring", total, QUICKER)
    try:
        with logging_redirect_tqdm([logging.getLogger("semad")]):
            for entry in tqdm(entries, "scoring", unit="file", leave=False):
                before = scored
                for record, new in _inspect_file(work, entry):
                    known.append(record)
                    scored += new
                done += 1
                images += isinstance(entry, Item)
                if scored > before:
                    eta.tick(images)
        _publish(work, known)
    except BaseException:
        with suppress(Exception):  # what stopped it says more
            _publish(work, known + _not_reached(work, entries[done:], known))
        raise
    return known, scored


def _publish(work: _Work, known: list[Record]) -> None:
    records.write_tables(work.output, known, work.detector.thresholds_.image)
    formats = work.detector.settings_.score.formats
    write_defect_files(work.output, known, formats, work.inputs.paths)
    if work.detector.settings_.score.fibres:
        write_fibres(work.output, known)
    write_report(work.detector, work.sliders, work.output, known)


def _not_reached(work: _Work, entries: list[Item | LeftOut], known: list[Record]) -> list[Record]:
    """What earlier calls left of files, or that it was not their turn."""
    names = {record["file"] for record in known}
    rows = []
    for entry in entries:
        if isinstance(entry, LeftOut):
            rows.append(left_out(*entry))
            continue
        pages = [page for page in work.earlier.get(entry.name, []) if page.name not in names]
        loaded = [record for page in pages if (record := records.load(work.output, page))]
        rows += loaded or [left_out(entry.name, _STOPPED, True)]
    return rows


def _inspect_file(work: _Work, entry: Item | LeftOut) -> Iterator[tuple[Record, bool]]:
    """The records of a file's pages, and whether each was made now."""
    if isinstance(entry, LeftOut):
        yield left_out(*entry), False
        return
    try:
        origin = {"sha256": file_checksum(entry.path), "description": description(entry.path)}
    except OSError as error:
        # Nobody knows whether it changed: earlier results stay, though no row speaks of them.
        yield _failed(entry, error), True
        return
    try:
        pages = pages_of(entry.path, work.reading)
    except Exception as error:  # decoders raise nearly anything on damaged files
        yield _failed(entry, error), True
        pages = []
    earlier = {old.key for old in work.earlier.get(entry.name, [])}
    for page in pages:
        item = entry if page is None else with_page(entry, page, work.inputs.taken)
        label = label_of(item)
        of_page = origin | {"label": file_checksum(label) if label else None}
        if stored := records.load(work.output, item, of_page):
            earlier.discard(item.key)
            yield stored, False
            continue
        if item.key in earlier:
            records.remove(work.output, item.key)  # of another content
            earlier.discard(item.key)
        yield _inspect_page(work, item, of_page), True
    for key in earlier:
        records.remove(work.output, key)  # of pages that are gone


def _inspect_page(work: _Work, item: Item, origin: Record) -> Record:
    """The record of an image; whatever its failure is, it is that image's alone."""
    try:
        return _score(work, item, origin)
    except CannotWrite as error:
        if not isinstance(error.__cause__, OSError) or error.__cause__.errno not in _OF_THE_NAME:
            raise
        return _failed(item, error)
    except Exception as error:
        return _failed(item, error)


def _score(work: _Work, item: Item, origin: Record) -> Record:
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


def _unlike(work: _Work, pixels: np.ndarray) -> str:
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


def _failed(item: Item, error: Exception) -> Record:
    text = " ".join(str(error).split())
    if isinstance(error, jax.errors.JaxRuntimeError) and "RESOURCE_EXHAUSTED" in text:
        text = "not enough memory; lower --config.score.chunk or --config.score.window"
    elif isinstance(error, MemoryError):
        text = text or "not enough memory"
    elif not isinstance(error, UserError | ValueError | OSError):
        text = f"{type(error).__name__}: {text}"
    _log.warning("%s: %s", item.name, text)
    return left_out(item.name, text, True, UNREADABLE)
