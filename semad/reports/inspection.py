"""The report of an inspection: what was found in new micrographs."""

import io
from pathlib import Path

from semad.detector import Detector
from semad.evaluation import figures
from semad.inspection.inspect import Inspection, describe
from semad.inspection.records import UNREADABLE, Record
from semad.reports.cautions import calibration_cautions
from semad.reports.render import data_uri, write_page

_SHOWN = 12


def write_report(detector: Detector, output: Path, inspection: Inspection) -> None:
    """Writes `output/report.html`, over all records; it replaces an earlier one."""
    scored = [one for one in inspection.records if one["verdict"] != UNREADABLE]
    ranked = sorted(scored, key=lambda one: -one["score"])
    about = describe(detector)
    write_page(
        output / "report.html",
        "inspection.html.j2",
        records=inspection.records,
        bad=[one for one in inspection.records if one["verdict"] == UNREADABLE],
        anomalous=sum(one["verdict"] == "anomalous" for one in scored),
        defects=sum(len(one["defects"]) for one in scored),
        scaled=any(one["nm_per_pixel"] for one in scored),
        shown=[one | {"picture": _picture(output, one)} for one in ranked[:_SHOWN]],
        histogram=_histogram(scored, about["threshold.image"]),
        cautions=calibration_cautions(detector.calibration_),
        calibration=detector.calibration_,
        selection=detector.selection_,
        cover=_cover(detector),
        about=about,
    )


def _cover(detector: Detector) -> str:
    settings = detector.config_.score
    if detector.method_.convolutional and settings.window:
        return f"in windows of {settings.window} pixels"
    return f"patches every {settings.stride} pixels"


def _picture(output: Path, record: Record) -> str:
    return data_uri((output / "records" / f"{record['key']}.jpg").read_bytes(), "jpeg")


def _histogram(scored: list[Record], threshold: float) -> str | None:
    if not scored:
        return None
    buffer = io.BytesIO()
    figures.image_scores(buffer, [one["score"] for one in scored], threshold)
    return data_uri(buffer.getvalue())
