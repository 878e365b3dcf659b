"""What is known of each inspected image: one small file each, and the tables made of them.

A record is written when everything else of its image is, so that a run that was stopped goes on
with the first image that has none.
"""

import csv
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from semad.errors import UserError
from semad.inference.image_files import Item
from semad.utils.files import check_replaceable, write_text

Record = dict[str, Any]
"""`file`, `key`, `sha256`, `score`, `verdict`, `width`, `height`, `nm_per_pixel`, `defects`; or
`file`, `verdict` and `error`."""

UNREADABLE = "unreadable"
SETTINGS = "settings.json"

SCORE_COLUMNS = (
    *("file", "score", "verdict", "threshold", "defects", "defect_area_pixels"),
    *("width", "height", "nm_per_pixel", "error"),
)
DEFECT_COLUMNS = (
    *("file", "defect", "left", "top", "right", "bottom", "centroid_x", "centroid_y"),
    *("area_pixels", "area_um2", "peak_score"),
)


def open_output(output: Path, settings: dict[str, Any]) -> None:
    """Makes the output folder, or checks that it holds results of the same detector.

    Raises:
      UserError: when it holds others, or anything else.
    """
    check_replaceable(output, SETTINGS)
    path = output / SETTINGS
    if path.is_file():
        stored, wanted = json.loads(path.read_text()), json.loads(json.dumps(settings))
        for key in sorted(stored.keys() | wanted.keys()):
            if stored.get(key) != wanted.get(key):
                raise UserError(
                    f"{output} holds results with {key} = {stored.get(key)}, not "
                    f"{wanted.get(key)}; give another --output"
                )
        return
    write_text(path, json.dumps(settings, indent=2) + "\n")


def load(output: Path, item: Item) -> Record | None:
    """The record of an image, if it was inspected."""
    path = _path(output, item)
    record = json.loads(path.read_text()) if path.is_file() else {}
    return record if record.get("file") == item.name else None


def store(output: Path, item: Item, record: Record) -> None:
    """Writes the record of an image, after all its other files."""
    write_text(_path(output, item), json.dumps(record, indent=2) + "\n")


def _path(output: Path, item: Item) -> Path:
    return output / "records" / f"{item.key}.json"


def write_tables(output: Path, records: Iterable[Record], threshold: float) -> None:
    """scores.csv, a line per image, and defects.csv, a line per defect."""
    scores, defects = [], []
    for record in records:
        regions = record.get("defects", [])
        if record["verdict"] != UNREADABLE:
            area = sum(region["area_pixels"] for region in regions)
            record = record | {
                "threshold": threshold,
                "defects": len(regions),
                "defect_area_pixels": area,
            }
        scores.append(record)
        defects += [{"file": record["file"]} | region for region in regions]
    _write(output / "scores.csv", SCORE_COLUMNS, scores)
    _write(output / "defects.csv", DEFECT_COLUMNS, defects)


def _write(path: Path, columns: Sequence[str], rows: Iterable[Record]) -> None:
    table = io.StringIO(newline="")
    writer = csv.DictWriter(table, columns, extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, table.getvalue())
