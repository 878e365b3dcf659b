"""The fibres of inspected images: in their records, in fibres.csv and in the report.

A record's `fibres` has `reason`, why the image is not fibrous or "", and the counts `whole` and
`clean`, with defects and without them, as `semad.fibres.tally.Tally` has them.
"""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from semad import fibres, plots
from semad.fibres.tally import Distribution, Tally, add, summarise
from semad.inference.records import FIBRES, Record, write_table
from semad.reports.render import data_uri
from semad.utils.files import write_bytes

ALL = "all images"
"""Stands for a file in the rows of all fibrous images together."""
REGIONS = {"whole": "with defects", "clean": "without defects"}
_OF_A_LENGTH = ("median", "lower_quartile", "upper_quartile")
_LENGTHS = (
    *(f"diameter_{name}" for name in (*_OF_A_LENGTH, "mode")),
    *(f"pore_{name}" for name in _OF_A_LENGTH),
)
COLUMNS = (
    *("file", "regions", "fibrous", "reason", "nm_per_pixel", "length_pixels"),
    *(f"{name}_pixels" for name in _LENGTHS),
    *(f"{name}_nm" for name in _LENGTHS),
    *("direction_degrees", "order_parameter", "porosity", "pores"),
)
_SHOWN, _THUMBNAIL = 3, 900


def measure_fibres(output: Path, key: str, image: np.ndarray, mask: np.ndarray) -> Record:
    """Measures an image's fibres, and writes the picture of it.

    Args:
      output: the folder of results.
      key: of the image.
      image: (H, W, C), uint8 or uint16.
      mask: bool (H, W), the defects.

    Returns:
      What its record holds of it.

    Raises:
      CannotWrite: on a full disk and the like.
    """
    measured = fibres.measure(image, mask)
    picture = fibres.picture(image, measured)
    write_bytes(output / FIBRES.format(key), lambda file: picture.save(file, "PNG"))
    counts = {"whole": measured.counts._asdict(), "clean": measured.clean_counts._asdict()}
    return {"fibres": {"reason": measured.reason} | counts}


def write_fibres(output: Path, records: list[Record]) -> None:
    """fibres.csv: two rows per image, with and without defects, and two for all of them."""
    write_table(output / "fibres.csv", COLUMNS, fibre_rows(records))


def fibre_rows(records: list[Record]) -> list[Record]:
    """The rows of fibres.csv; those of all images come first."""
    measured = [record for record in records if "fibres" in record]
    fibrous = [record for record in measured if not record["fibres"]["reason"]]
    rows = []
    scales = {record["nm_per_pixel"] for record in fibrous}
    if len(scales) > 1:
        reason = "the images differ in scale"
        rows += [_empty(ALL, name, reason) | {"fibrous": "yes"} for name in REGIONS.values()]
    elif fibrous:
        rows += _rows(ALL, {part: _pooled(fibrous, part) for part in REGIONS}, scales.pop())
    for record in measured:
        counts, scale = record["fibres"], record["nm_per_pixel"]
        if counts["reason"]:
            rows += [_empty(record["file"], name, counts["reason"]) for name in REGIONS.values()]
        else:
            rows += _rows(record["file"], {part: Tally(**counts[part]) for part in REGIONS}, scale)
    return rows


def fibre_section(output: Path, records: list[Record]) -> dict[str, Any] | None:
    """What the report says of fibres, for `fibres.html.j2`; None where they were not measured.

    Args:
      output: the folder of results.
      records: of images with a verdict.
    """
    measured = [record for record in records if "fibres" in record]
    if not measured:
        return None
    fibrous = [record for record in measured if not record["fibres"]["reason"]]
    rows = fibre_rows(records)
    buffer = io.BytesIO()
    same_scale = len({record["nm_per_pixel"] for record in fibrous}) == 1
    if same_scale:
        counts = {name: _pooled(fibrous, part) for part, name in REGIONS.items()}
        scale = fibrous[0]["nm_per_pixel"]
        lengths = {name: tally.diameters for name, tally in counts.items()}
        angles = {name: tally.angles for name, tally in counts.items()}
        plots.fibres(buffer, lengths, angles, scale)
    return {
        "rows": [row for row in rows if row["fibrous"] == "yes"],
        "scaled": any(record["nm_per_pixel"] for record in fibrous),
        "others": [record for record in measured if record["fibres"]["reason"]],
        "histogram": data_uri(buffer.getvalue()) if same_scale else None,
        "pictures": [
            {"file": record["file"], "picture": _thumbnail(output, record["key"])}
            for record in fibrous[:_SHOWN]
        ],
    }


def _pooled(records: list[Record], part: str) -> Tally:
    return add([Tally(**record["fibres"][part]) for record in records])


def _rows(name: str, counts: dict[str, Tally], scale: float | None) -> Iterator[Record]:
    for part, tally in counts.items():
        summary = summarise(tally)
        row = _empty(name, REGIONS[part], "") | {
            "fibrous": "yes",
            "nm_per_pixel": scale,
            "length_pixels": summary.diameter.samples,
            "direction_degrees": _rounded(summary.direction, 1),
            "order_parameter": _rounded(summary.order, 4),
            "porosity": _rounded(summary.porosity, 4),
            "pores": summary.pore.samples,
        }
        for what, lengths in (("diameter", summary.diameter), ("pore", summary.pore)):
            row |= _lengths(what, lengths, "pixels")
            if scale is not None:
                row |= _lengths(what, lengths.scaled(scale), "nm")
        yield row


def _lengths(what: str, lengths: Distribution, unit: str) -> Record:
    values = (lengths.median, lengths.lower, lengths.upper, lengths.mode)
    return {
        f"{what}_{name}_{unit}": None if value is None else float(f"{value:.4g}")
        for name, value in zip((*_OF_A_LENGTH, "mode"), values, strict=True)
    }


def _empty(name: str, regions: str, reason: str) -> Record:
    row: Record = {"file": name, "regions": regions, "fibrous": "no", "reason": reason}
    return dict.fromkeys(COLUMNS) | row


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)


def _thumbnail(output: Path, key: str) -> str:
    buffer = io.BytesIO()
    with Image.open(output / FIBRES.format(key)) as picture:
        small = picture.convert("RGB")
    small.thumbnail((_THUMBNAIL, _THUMBNAIL))
    small.save(buffer, "JPEG", quality=85)
    return data_uri(buffer.getvalue(), "jpeg")
