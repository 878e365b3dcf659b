"""The report of an inspection: what was found in new micrographs."""

import io
from collections import Counter
from pathlib import Path

from semad import plots
from semad.inference.detector import Detector
from semad.inference.fibre_table import fibre_section
from semad.inference.origin import describe
from semad.inference.records import ANOMALOUS, VERDICTS, Record, count, without_verdict
from semad.reports.cautions import (
    calibration_cautions,
    selection_cautions,
    source_of_thresholds,
)
from semad.reports.render import data_uri, write_page
from semad.selection.doubts import AGREEMENTS

_SHOWN = 12
"""Pictures, and cautions about images."""
_LISTED = 20
"""Files without a verdict; scores.csv has the others."""


def write_report(detector: Detector, output: Path, records: list[Record]) -> None:
    """Writes `output/report.html`, over all records; it replaces an earlier one.

    Args:
      detector: that inspected.
      output: the folder of results.
      records: of all files.
    """
    scored = [record for record in records if record["verdict"] in VERDICTS]
    ranked = sorted(scored, key=lambda record: -record["score"])
    about, bad = describe(detector), without_verdict(records)
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
        scaled=any(record["nm_per_pixel"] for record in scored),
        ranked=ranked,
        shown=[record | {"picture": _picture(output, record)} for record in ranked[:_SHOWN]],
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


def _of_images(scored: list[Record]) -> list[str]:
    """The cautions about images, the most frequent first."""
    texts = Counter(text for record in scored for text in record["cautions"])
    lines = [f"{number} images: {text}" for text, number in texts.most_common(_SHOWN)]
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
