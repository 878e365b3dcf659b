"""Defects in the formats of other programs: COCO, labelme and ImageJ's regions of interest.

They are made of the records alone, so that asking for another format scores nothing again. A file
of an image that is there is left as it is: somebody may have corrected its outlines.
"""

import base64
import io
import json
import os
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from semad.inference.imagej import zipped
from semad.inference.outlines import Contour, contours
from semad.inference.records import COCO, ON_REQUEST, VERDICTS, Record
from semad.scoring.rle import decode
from semad.utils.files import write_bytes, write_text, writing

_NAME = "defect"
"""The class of what is outlined."""
_LABELME = "5.5.0"
"""The version of labelme whose format is written: it knows masks."""


def write_defect_files(
    output: Path, records: Iterable[Record], formats: str, paths: Mapping[str, Path]
) -> None:
    """Writes what `config.score.formats` asks for and is not there yet.

    Args:
      output: the folder of results.
      records: of all files.
      formats: names joined by `+`, or `none`.
      paths: of the images, by their names.

    Raises:
      CannotWrite: on a full disk and the like.
      UserError: for ImageJ's format without the package roifile.
    """
    scored = [record for record in records if record["verdict"] in VERDICTS]
    wanted = formats.split("+")
    if "coco" in wanted:
        write_text(output / COCO, json.dumps(coco(scored)) + "\n")
    else:
        with writing(output / COCO):
            (output / COCO).unlink(missing_ok=True)
    of_labelme, of_imagej = ON_REQUEST
    if "labelme" in wanted:
        _each(output, of_labelme, scored, lambda record, path: _labelme(record, path, paths))
    if "imagej" in wanted:
        _each(output, of_imagej, [record for record in scored if record["defects"]], _rois)


def _each(
    output: Path,
    name: str,
    records: Iterable[Record],
    content: Callable[[Record, Path], bytes],
) -> None:
    for record in records:
        path = output / name.format(record["key"])
        if not path.exists():
            made = content(record, path)
            write_bytes(path, partial(_write, made))


def _write(content: bytes, file: BinaryIO) -> None:
    file.write(content)


def coco(records: Iterable[Record]) -> dict[str, Any]:
    """All defects in COCO's format for detection: run lengths, areas, boxes, peak scores.

    Args:
      records: of images with a verdict.
    """
    images: list[Record] = []
    annotations: list[Record] = []
    for number, record in enumerate(records, 1):
        size = {"height": record["height"], "width": record["width"]}
        images.append({"id": number, "file_name": record["file"]} | size)
        for defect in record["defects"]:
            top, left, bottom, right = _box(defect)
            counts = {"size": [record["height"], record["width"]], "counts": defect["rle"]}
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": 1,
                    "bbox": [left, top, right - left, bottom - top],
                    "area": defect["area_pixels"],
                    "segmentation": counts,
                    "iscrowd": 0,
                    "score": defect["peak_score"],
                }
            )
    return {
        "info": {"description": "defects by semad; score: the highest of the map inside"},
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 1, "name": _NAME}],
    }


def _labelme(record: Record, path: Path, paths: Mapping[str, Path]) -> bytes:
    """The defects of an image as labelme reads them; one with holes as a mask."""
    page = record["page"]
    name = record["file"] if page is None else record["file"].removesuffix(f"#{page}")
    content = {
        "version": _LABELME,
        "flags": {},
        "shapes": [_shape(record, defect) for defect in record["defects"]],
        "imagePath": os.path.relpath(paths[name], path.parent.resolve()),
        "imageData": None,
        "imageHeight": record["height"],
        "imageWidth": record["width"],
    }
    return (json.dumps(content, indent=1) + "\n").encode(errors="backslashreplace")


def _shape(record: Record, defect: Record) -> dict[str, Any]:
    top, left, bottom, right = _box(defect)
    shape: dict[str, Any] = {
        "label": _NAME,
        "points": [],
        "group_id": None,
        "description": f"defect {defect['defect']}, peak score {defect['peak_score']:.4g}",
        "shape_type": "polygon",
        "flags": {},
        "mask": None,
    }
    outlines = _contours(record, defect)
    if len(outlines) == 1:
        return shape | {"points": outlines[0].tolist()}
    buffer = io.BytesIO()
    Image.fromarray(_mask(record, defect)).save(buffer, "PNG")
    return shape | {
        "shape_type": "mask",
        "points": [[left, top], [right - 1, bottom - 1]],
        "mask": base64.b64encode(buffer.getvalue()).decode(),
    }


def _rois(record: Record, _: Path) -> bytes:
    """The defects of an image as a zip of ImageJ's regions; one with holes as a composite."""
    outlines = {
        f"{defect['defect']:04d}": _contours(record, defect) for defect in record["defects"]
    }
    return zipped(outlines)


def _box(defect: Record) -> tuple[int, int, int, int]:
    return defect["top"], defect["left"], defect["bottom"], defect["right"]


def _mask(record: Record, defect: Record) -> np.ndarray:
    return decode(defect["rle"], _box(defect), record["height"])


def _contours(record: Record, defect: Record) -> list[Contour]:
    return contours(_mask(record, defect), defect["top"], defect["left"])
