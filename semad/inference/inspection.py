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
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from semad.data.images import pages_of
from semad.errors import CannotWrite, UserError, out_of_memory
from semad.inference import records
from semad.inference.defect_files import write_defect_files
from semad.inference.detector import Detector
from semad.inference.fibre_table import write_fibres
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
from semad.inference.map_levels import sliders_of
from semad.inference.origin import describe, reading_of
from semad.inference.records import (
    UNREADABLE,
    Record,
    left_out,
)
from semad.inference.scored_image import Work, score_image
from semad.scoring.maps import QUICKER
from semad.utils.eta import EtaWarning
from semad.utils.locks import folder_lock
from semad.utils.sealed import file_checksum

_log = logging.getLogger(__name__)

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
        work = Work(detector, reading, sliders_of(detector), output, inputs, earlier, [])
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


def _inspect_all(work: Work) -> tuple[list[Record], int]:
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


def _publish(work: Work, known: list[Record]) -> None:
    records.write_tables(work.output, known, work.detector.thresholds_.image)
    formats = work.detector.settings_.score.formats
    write_defect_files(work.output, known, formats, work.inputs.paths)
    if work.detector.settings_.score.fibres:
        write_fibres(work.output, known)
    write_report(work.detector, work.sliders, work.output, known)


def _not_reached(work: Work, entries: list[Item | LeftOut], known: list[Record]) -> list[Record]:
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


def _inspect_file(work: Work, entry: Item | LeftOut) -> Iterator[tuple[Record, bool]]:
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


def _inspect_page(work: Work, item: Item, origin: Record) -> Record:
    """The record of an image; whatever its failure is, it is that image's alone."""
    try:
        return score_image(work, item, origin)
    except CannotWrite as error:
        if not isinstance(error.__cause__, OSError) or error.__cause__.errno not in _OF_THE_NAME:
            raise
        return _failed(item, error)
    except Exception as error:
        return _failed(item, error)


def _failed(item: Item, error: Exception) -> Record:
    text = " ".join(str(error).split())
    if isinstance(error, jax.errors.JaxRuntimeError) and out_of_memory(error):
        text = "not enough memory; lower --config.score.chunk or --config.score.window"
    elif isinstance(error, MemoryError):
        text = text or "not enough memory"
    elif not isinstance(error, UserError | ValueError | OSError):
        text = f"{type(error).__name__}: {text}"
    _log.warning("%s: %s", item.name, text)
    return left_out(item.name, text, True, UNREADABLE)
