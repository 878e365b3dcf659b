"""What is known of each inspected image: one small file each, and the tables made of them.

A record is written when everything else of its image is, so that a run that was stopped goes on
with the first image that has none. Before, a note stands in its place that names the image: so the
results of an image that is gone can be removed, and nothing that somebody else wrote.
"""

import csv
import io
import json
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from semad.errors import UserError
from semad.inference.image_files import Item
from semad.scoring.regions import Region
from semad.utils.files import check_replaceable, write_text, writing
from semad.utils.sealed import read_sealed, write_sealed

Record = dict[str, Any]
"""Of an image with a verdict: `file`, `key`, `page`, `sha256`, `description`, `score`, `verdict`,
`width`, `height`, `nm_per_pixel`, `cautions`, `defects`, `unlike`, how the image as a whole
differs from the training images, or None, and `label`, SHA-256 of a mask that a person made of it;
with `config.score.fibres` also `fibres`, see `semad.inference.fibre_table`.
Of another file: `file`, `verdict`, `error` and `image`, whether a verdict was to be expected."""

NORMAL, ANOMALOUS = "normal", "anomalous"
UNREADABLE, DEGENERATE, SKIPPED = "unreadable", "degenerate", "skipped"
VERDICTS = (NORMAL, ANOMALOUS)
SETTINGS = "settings.json"
RESULTS = (
    *("maps/{}.tif", "masks/{}.png", "overlays/{}.png", "records/{}.jpg"),
    "report_data/{}.js",
)
"""Files of an image beside its record, by its key."""
ON_REQUEST = ("labelme/{}.json", "rois/{}.zip")
"""Others, which are made of the record alone; see `semad.inference.defect_files`."""
COCO = "defects.coco.json"
FIBRES = "fibres/{}.png"
"""One more, where the record has `fibres`."""

SCORE_COLUMNS = (
    *("file", "score", "verdict", "threshold", "defects", "defect_area_pixels"),
    *("width", "height", "nm_per_pixel", "error", "unlike", "cautions"),
)
DEFECT_COLUMNS = (
    *("file", "defect", "left", "top", "right", "bottom", "centroid_x", "centroid_y"),
    *("area_pixels", "area_um2", "peak_score"),
)
_NEEDED = {
    *("file", "key", "score", "width", "height", "nm_per_pixel", "cautions", "defects", "unlike"),
}
_RECORD = "records/{}.json"
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001


def open_output(output: Path, settings: dict[str, Any]) -> None:
    """Writes the settings of a new output folder, or checks that it holds results by the same.

    Raises:
      UserError: when it holds others, is damaged, or has links where results go.
    """
    _check_links(output)
    path = output / SETTINGS
    if not path.is_file():
        write_text(path, json.dumps(settings, indent=2) + "\n")
        return
    try:
        stored = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        stored = None
    if not isinstance(stored, dict):
        raise UserError(f"{path}: damaged; give another --output, or remove {output} first")
    wanted = json.loads(json.dumps(settings))
    for key in sorted(stored.keys() | wanted.keys()):
        if stored.get(key) != wanted.get(key):
            raise UserError(
                f"{path} says {key} = {stored.get(key)}, not {wanted.get(key)}: the results "
                "there are of other settings; give another --output"
            )


def check_new_or_ours(output: Path) -> None:
    """Checks that an output folder is new or empty, or holds earlier results.

    Raises:
      UserError: when something else stands there.
    """
    check_replaceable(output, SETTINGS)


def _check_links(output: Path) -> None:
    names = (SETTINGS, "scores.csv", "defects.csv", COCO, "fibres.csv", "report.html")
    folders = sorted({name.partition("/")[0] for name in (*RESULTS, *ON_REQUEST, FIBRES)})
    paths = [output / name for name in (*names, *folders)]
    for folder in folders:
        for parent, below, files in os.walk(output / folder):
            paths += [Path(parent) / name for name in (*below, *files)]
    for path in paths:
        if path.is_symlink():
            raise UserError(
                f"{path} is a link, and results are not written through links; remove it, or give "
                "another --output"
            )


def load(output: Path, item: Item, origin: Record | None = None) -> Record | None:
    """The record of an image that has a verdict, with all its files there.

    Args:
      output: the folder of results.
      item: the image.
      origin: what the record must say of it; None when that is not known.
    """
    record = _read(output / _RECORD.format(item.key))
    if not record or record.get("file") != item.name or record.get("verdict") not in VERDICTS:
        return None
    if not record.keys() >= _NEEDED or (origin and not record.items() >= origin.items()):
        return None
    names = (*RESULTS, FIBRES) if "fibres" in record else RESULTS
    files = (output / name.format(item.key) for name in names)
    return record if all(path.is_file() for path in files) else None


def load_items(output: Path) -> dict[str, list[Item]]:
    """Of every file that has results, finished or not: its name -> itself, or its pages."""
    items: dict[str, list[Item]] = {}
    for path in sorted((output / "records").rglob("*.json")):
        record = _read(path)
        # A copy under another name is nobody's.
        if record and path == output / _RECORD.format(record.get("key")):
            name, page = str(record.get("file")), record.get("page")
            whole = name if page is None else name.removesuffix(f"#{page}")
            items.setdefault(whole, []).append(Item(path, name, record["key"], page))
    return items


def _read(path: Path) -> Record | None:
    """A record, or None where there is none or it is damaged: its image is scored again then."""
    record = (read_sealed(path) or {}).get("record")
    return record if isinstance(record, dict) else None


def store(output: Path, item: Item, record: Record) -> Record:
    """Writes and returns the record of an image; before its other files are written, the note."""
    whole = {"file": item.name, "key": item.key, "page": item.page} | record
    write_sealed(output / _RECORD.format(item.key), {"record": whole})
    return whole


def remove(output: Path, key: str) -> None:
    """Removes an image's results, and folders that are empty then.

    The record goes last: it says whose the others are.
    """
    for name in (*RESULTS, *ON_REQUEST, FIBRES, _RECORD):
        path = output / name.format(key)
        with writing(path):
            if not path.is_dir():  # semad wrote none of that name
                path.unlink(missing_ok=True)
        for parent in path.parents[: key.count("/")]:
            with suppress(OSError):  # it holds others
                parent.rmdir()


def write_tables(output: Path, records: Iterable[Record], threshold: float) -> None:
    """scores.csv, a line per file, and defects.csv, a line per defect."""
    scores, defects = [], []
    for record in records:
        regions = record.get("defects", [])
        row = record | {"cautions": " ".join(record.get("cautions", []))}
        if record["verdict"] in VERDICTS:
            area = sum(region["area_pixels"] for region in regions)
            row |= {
                "threshold": threshold,
                "defects": len(regions),
                "defect_area_pixels": area,
            }
        scores.append(row)
        defects += [{"file": record["file"]} | region for region in regions]
    write_table(output / "scores.csv", SCORE_COLUMNS, scores)
    write_table(output / "defects.csv", DEFECT_COLUMNS, defects)


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Record]) -> None:
    """A CSV file of rows, whatever else they hold; no cell is a formula for a spreadsheet."""
    table = io.StringIO(newline="")
    writer = csv.DictWriter(table, columns, extrasaction="ignore")
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    write_text(path, table.getvalue())


def _cell(value: Any) -> Any:
    """A text that a spreadsheet would run as a formula, with an apostrophe before it (OWASP)."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def measures(number: int, region: Region, nm_per_pixel: float | None) -> Record:
    """What defects.csv says of a defect, and its pixels.

    Args:
      number: of the defect in its image, from 1 on.
      region: the defect.
      nm_per_pixel: the scale, if known.
    """
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
        "rle": region.rle,
    }


def left_out(name: str, reason: str, image: bool, verdict: str = SKIPPED) -> Record:
    """The record of a file without a verdict on its content.

    Args:
      name: of the file or page.
      reason: why.
      image: whether a verdict was to be expected.
      verdict: what stands in its place.
    """
    return {"file": name, "verdict": verdict, "error": reason, "image": image}


def without_verdict(records: Iterable[Record]) -> list[Record]:
    """Those of files of which a verdict was to be expected and which have none."""
    return [record for record in records if record.get("image")]


def count(records: Sequence[Record]) -> dict[str, int]:
    """How many records there are of each verdict that occurs, and how many other files."""
    verdicts = [record["verdict"] for record in records if _counts(record)]
    names = (ANOMALOUS, NORMAL, UNREADABLE, DEGENERATE, SKIPPED)
    counts = {name: verdicts.count(name) for name in names if name in verdicts}
    others = len(records) - len(verdicts)
    return counts | ({"other files": others} if others else {})


def _counts(record: Record) -> bool:
    return record["verdict"] in VERDICTS or record["image"]
