"""Outlines that a person drew, from files: masks, labelme, COCO.

For an image `a.tif` these count, beside it:

    a_mask.png     not black where a defect was missed
    a_normal.png   not black where there is none: a false alarm
    *.json         of labelme, or of COCO

The images that a JSON file names are looked for where it says, or else in the folder. In labelme
and COCO an outline is a defect, unless its label or category is in `NORMAL`.
"""

import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from skimage import draw

from semad.data.annotated import AnnotatedImage
from semad.data.files import FileImage, Reading, read_file
from semad.data.images import EXTENSIONS, list_files, read_mask
from semad.errors import UserError
from semad.scoring.rle import decode

NORMAL = ("normal", "good", "ok", "false alarm", "false_alarm")
"""Labels of outlines around what is no defect."""

_MASK, _NORMAL_MASK = "_mask", "_normal"
_BROKEN = (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError)
"""What a file of another structure raises."""


class _Outline(NamedTuple):
    """A polygon or a mask, and where it is from.

    Attributes:
      origin: the file, for messages.
      image: the file of the image.
      label: of the outline.
      size: (height, width) of the image as the file has it; None where it does not say.
      shape: (N, 2) points x, y in pixels, of the type float; or a bool mask (H, W).
    """

    origin: Path
    image: Path
    label: str
    size: tuple[int, int] | None
    shape: np.ndarray


def read_annotated(folder: Path, reading: Reading) -> list[AnnotatedImage]:
    """The images of a folder with outlines, sorted by name.

    Args:
      folder: with images and, beside them, files of outlines.
      reading: how images are read.

    Raises:
      UserError: when there are no outlines, a file cannot be read, or an outline is of no image,
        of one of another size, empty, or of a kind that is not known.
    """
    listing = list_files(folder, reading.follow_links)
    stems = {path.stem for path in listing.images}
    masks = {path: stem for path in listing.images if (stem := _image_of(path, stems))}
    outlines = [
        outline
        for path in sorted(folder.rglob("*.json"))
        if not path.name.startswith(".")
        for outline in _read_json(path, folder)
    ]
    images = [path.resolve() for path in listing.images if path not in masks]
    images += sorted({outline.image for outline in outlines} - set(images))
    annotated = []
    for path in images:
        drawn = [outline for outline in outlines if outline.image == path]
        inside = path.parent == folder.resolve()
        beside = [mask for mask, stem in masks.items() if inside and stem == path.stem]
        if drawn or beside:
            annotated.append(_annotated(path, reading, drawn, beside))
    if not annotated:
        raise UserError(
            f"{folder}: no outlines; put <image>{_MASK}.png, <image>{_NORMAL_MASK}.png, or a .json "
            f"of labelme or COCO beside images named {' '.join(EXTENSIONS)}"
        )
    return annotated


def _image_of(path: Path, stems: set[str]) -> str:
    """The stem of the image whose mask a file is; empty for a file that is no mask."""
    for ending in (_MASK, _NORMAL_MASK):
        stem = path.stem.removesuffix(ending)
        if stem != path.stem and stem in stems:
            return stem
    return ""


def _annotated(
    path: Path, reading: Reading, outlines: list[_Outline], masks: list[Path]
) -> AnnotatedImage:
    image = read_file(path, reading)
    shape = image.pixels.shape[:2]
    defects, normal = np.zeros(shape, bool), np.zeros(shape, bool)
    for mask in masks:
        target = normal if mask.stem.endswith(_NORMAL_MASK) else defects
        target |= read_mask(mask, shape, image.rows)
    for outline in outlines:
        target = normal if outline.label.strip().lower() in NORMAL else defects
        target |= _drawn(outline, image)
    if not (defects.any() or normal.any()):
        raise UserError(f"{path}: its outlines are empty, or outside of it; remove it or draw some")
    if (defects & normal).any():
        raise UserError(
            f"{path}: a part is outlined both as a defect and as normal; remove one outline"
        )
    return AnnotatedImage(path.name, image.pixels, defects, normal)


def _drawn(outline: _Outline, image: FileImage) -> np.ndarray:
    """The pixels inside an outline: bool (H, W)."""
    height, width = image.pixels.shape[:2]
    if outline.size and outline.size not in ((height, width), (image.rows, width)):
        raise UserError(
            f"{outline.origin}: {outline.image.name} is {outline.size[1]}×{outline.size[0]} pixels "
            f"there, and {width}×{image.rows} as a file; outline the image as it is"
        )
    if outline.shape.dtype == bool:
        return outline.shape[:height]
    mask = np.zeros((height, width), bool)
    x, y = outline.shape.T - 0.5  # 0 is the edge of the first pixel in files, its middle here
    mask[draw.polygon(y, x, mask.shape)] = True
    return mask


def _read_json(path: Path, folder: Path) -> Iterator[_Outline]:
    """The outlines of a JSON file; none of one that is of something else.

    Raises:
      UserError: for one that is damaged, or holds a shape that is no region.
    """
    try:
        content = json.loads(path.read_bytes())
        if not isinstance(content, dict):
            return
        if "shapes" in content:
            yield from _labelme(path, folder, content)
        elif "annotations" in content and "images" in content:
            yield from _coco(path, folder, content)
    except UserError:
        raise
    except (OSError, *_BROKEN) as error:
        why = " ".join(str(error).split())[:200] or type(error).__name__
        raise UserError(f"{path}: neither labelme nor COCO ({why}); repair or remove it") from error


def _find(path: Path, folder: Path, name: str) -> Path:
    """The image that a JSON file names.

    Raises:
      UserError: when it is neither where the name says nor in the folder.
    """
    relative = Path(name.replace("\\", "/"))
    for candidate in (path.parent / relative, folder / relative.name):
        if candidate.is_file():
            return candidate.resolve()
    raise UserError(f"{path}: outlines an image {name!r}, which is not in {folder}; put it there")


def _labelme(path: Path, folder: Path, content: dict[str, Any]) -> Iterator[_Outline]:
    image = _find(path, folder, str(content["imagePath"]))
    height, width = content.get("imageHeight"), content.get("imageWidth")
    size = (int(height), int(width)) if height and width else None
    for shape in content["shapes"]:
        points = np.array(shape["points"], float).reshape(-1, 2)
        label, kind = str(shape["label"]), shape.get("shape_type") or "polygon"
        if kind == "mask":
            yield _Outline(path, image, label, size, _placed(shape["mask"], points, size))
            continue
        if kind == "rectangle":
            (left, top), (right, bottom) = points
            points = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
        elif kind == "circle":
            turns = np.linspace(0, 2 * np.pi, 64, endpoint=False)
            radius = np.hypot(*(points[1] - points[0]))
            points = points[0] + radius * np.stack([np.cos(turns), np.sin(turns)], axis=1)
        elif kind != "polygon":
            raise UserError(
                f"{path}: a shape of the type {kind!r}, which outlines nothing; draw a polygon, a "
                "rectangle, a circle or a mask"
            )
        yield _Outline(path, image, label, size, _checked(points))


def _placed(encoded: str, corners: np.ndarray, size: tuple[int, int] | None) -> np.ndarray:
    """A mask of labelme, a PNG in base64 with its first and last pixel, as one of the image."""
    part = np.array(Image.open(io.BytesIO(base64.b64decode(encoded))), bool)
    if size is None:
        raise ValueError("a mask without imageHeight and imageWidth")
    (left, top), mask = corners[0].astype(int), np.zeros(size, bool)
    mask[top : top + part.shape[0], left : left + part.shape[1]] = part
    return mask


def _coco(path: Path, folder: Path, content: dict[str, Any]) -> Iterator[_Outline]:
    images = {entry["id"]: entry for entry in content["images"]}
    labels = {entry["id"]: str(entry["name"]) for entry in content.get("categories", [])}
    for entry in content["annotations"]:
        about = images[entry["image_id"]]
        image = _find(path, folder, str(about["file_name"]))
        size = int(about["height"]), int(about["width"])
        label, segmentation = labels.get(entry.get("category_id"), ""), entry["segmentation"]
        if isinstance(segmentation, dict):
            yield _Outline(path, image, label, size, _from_runs(segmentation["counts"], *size))
            continue
        for polygon in segmentation:
            points = np.array(polygon, float).reshape(-1, 2)
            yield _Outline(path, image, label, size, _checked(points))


def _from_runs(counts: str | list[int], height: int, width: int) -> np.ndarray:
    """A mask of COCO's run lengths, column by column, compressed or not: bool (H, W)."""
    if isinstance(counts, str):
        return decode(counts, (0, 0, height, width), height)
    values = np.repeat(np.arange(len(counts)) % 2 == 1, counts)
    return values.reshape(width, height).T


def _checked(points: np.ndarray) -> np.ndarray:
    if len(points) < 3 or not np.isfinite(points).all():
        raise ValueError("an outline of fewer than three points")
    return points
