"""The report of an inspection: what was found in new micrographs."""

import io
from pathlib import Path

from semad import plots
from semad.inference.detector import Detector
from semad.inference.inspection import Inspection, describe
from semad.inference.records import UNREADABLE, Record
from semad.reports.cautions import calibration_cautions
from semad.reports.render import data_uri, write_page

_SHOWN = 12


def write_report(detector: Detector, output: Path, inspection: Inspection) -> None:
    """Writes `output/report.html`, over all records; it replaces an earlier one."""
    scored = [record for record in inspection.records if record["verdict"] != UNREADABLE]
    ranked = sorted(scored, key=lambda record: -record["score"])
    about = describe(detector)
    write_page(
        output / "report.html",
        "inspection.html.j2",
        records=inspection.records,
        bad=[record for record in inspection.records if record["verdict"] == UNREADABLE],
        anomalous=sum(record["verdict"] == "anomalous" for record in scored),
        defects=sum(len(record["defects"]) for record in scored),
        scaled=any(record["nm_per_pixel"] for record in scored),
        shown=[record | {"picture": _picture(output, record)} for record in ranked[:_SHOWN]],
        histogram=_histogram(scored, about["threshold.image"]),
        cautions=calibration_cautions(detector.calibration_),
        calibration=detector.calibration_,
        selection=detector.selection_,
        cover=_cover(detector),
        about=about,
    )


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
