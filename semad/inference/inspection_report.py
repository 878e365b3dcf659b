"""The report of an inspection: what was found in new micrographs."""

import io
from collections import Counter
from pathlib import Path, PurePosixPath
from typing import Any

import matplotlib

from semad import plots
from semad.inference.appearance import WHOLE
from semad.inference.detector import Detector
from semad.inference.fibre_table import fibre_section
from semad.inference.map_levels import Sliders, as_values
from semad.inference.origin import describe
from semad.inference.records import (
    ANOMALOUS,
    RESULTS,
    VERDICTS,
    Record,
    count,
    without_verdict,
)
from semad.reports.cautions import (
    calibration_cautions,
    selection_cautions,
    source_of_thresholds,
)
from semad.reports.render import data_uri, write_page
from semad.selection.doubts import AGREEMENTS

_CAUTIONS = 12
"""Cautions about images; scores.csv has the others."""
_LISTED = 20
"""Files without a verdict; scores.csv has the others."""
_INSIDE = 32 * 2**20
"""Bytes of maps and pictures that the page takes inside; where there are more, they lie beside."""
_PALETTE = "inferno"


def write_report(detector: Detector, sliders: Sliders, output: Path, records: list[Record]) -> None:
    """Writes `output/report.html`, over all records; it replaces an earlier one.

    Args:
      detector: that inspected.
      sliders: its settings that the page offers.
      output: the folder of results.
      records: of all files.
    """
    scored = [record for record in records if record["verdict"] in VERDICTS]
    ranked = sorted(scored, key=lambda record: -record["score"])
    about, bad = describe(detector), without_verdict(records)
    data = [output / RESULTS[-1].format(record["key"]) for record in ranked]
    inside = sum(path.stat().st_size for path in data) <= _INSIDE
    palette = _palette(sliders)
    write_page(
        output / "report.html",
        "inspection.html.j2",
        images=len(scored) + len(bad),
        counts=count(records),
        bad=bad[:_LISTED],
        unlisted=len(bad[_LISTED:]),
        anomalous=sum(record["verdict"] == ANOMALOUS for record in scored),
        unlike=sum(bool(record["unlike"]) for record in scored),
        defects=sum(len(record["defects"]) for record in scored),
        ranked=[record | {"picture": _picture(output, record)} for record in ranked],
        page={
            "images": [_of_page(record) for record in ranked],
            "inside": inside,
            "sliders": as_values(sliders),
            "palette": palette,
            "min_area": detector.settings_.score.min_area,
            "whole": WHOLE,
        },
        scripts=(path.read_text() for path in data) if inside else (),
        gradient=_gradient(),
        histogram=_histogram(scored, about["threshold.image"]),
        cautions=selection_cautions(detector.selection_)
        + calibration_cautions(detector.calibration_)
        + _of_images(scored),
        calibration=detector.calibration_,
        thresholds_from=source_of_thresholds(detector.calibration_),
        selection=detector.selection_,
        agreements=AGREEMENTS,
        cover=_cover(detector),
        about=about,
        fibres=fibre_section(output, scored),
    )


def _of_page(record: Record) -> dict[str, Any]:
    """What the page's scripts know of an image before they have its map."""
    names = ("left", "top", "right", "bottom", "area_pixels", "peak_score")
    return {
        "key": record["key"],
        "file": record["file"],
        "folder": str(PurePosixPath(record["file"]).parent).removeprefix("."),
        "score": record["score"],
        "width": record["width"],
        "height": record["height"],
        "nm": record["nm_per_pixel"],
        "unlike": record["unlike"],
        "defects": [[defect[name] for name in names] for defect in record["defects"]],
    }


def _palette(sliders: Sliders) -> list[list[int]]:
    """Red, green, blue and alpha of a pixel, by how many levels it exceeds; low ones fade."""
    low, high = sliders.colours
    colours = matplotlib.colormaps[_PALETTE]
    palette = [[0, 0, 0, 0]]
    for level in sliders.levels.tolist():
        share = min(1.0, max(0.0, (level - low) / (high - low)))
        red, green, blue, _ = colours(share, bytes=True)
        palette.append([int(red), int(green), int(blue), round(255 * min(1, 0.3 + share))])
    return palette


def _gradient() -> list[str]:
    colours = matplotlib.colormaps[_PALETTE]
    return [matplotlib.colors.to_hex(colours(place / 8)) for place in range(9)]


def _of_images(scored: list[Record]) -> list[str]:
    """The cautions about images, the most frequent first."""
    texts = Counter(text for record in scored for text in record["cautions"])
    lines = [f"{number} images: {text}" for text, number in texts.most_common(_CAUTIONS)]
    rest = len(texts) - len(lines)
    return lines + ([f"{rest} more cautions are in scores.csv"] if rest > 0 else [])


def _cover(detector: Detector) -> str:
    settings = detector.settings_.score
    if detector.method_.convolutional and settings.window:
        return f"in windows of {settings.window} pixels"
    return f"patches every {settings.stride} pixels"


def _picture(output: Path, record: Record) -> str:
    return data_uri((output / "records" / f"{record['key']}.jpg").read_bytes(), "jpeg")


def _histogram(scored: list[Record], threshold: float) -> str | None:
    if not scored:
        return None
    buffer = io.BytesIO()
    plots.image_scores(buffer, [record["score"] for record in scored], threshold)
    return data_uri(buffer.getvalue())
