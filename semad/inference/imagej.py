"""Regions of interest for ImageJ, by roifile."""

import io
import zipfile
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from semad.errors import UserError
from semad.inference.outlines import Contour

if TYPE_CHECKING:
    from roifile import ImagejRoi

_MOVE, _LINE, _CLOSE = 0, 1, 4
"""Segments of a path of java.awt.geom, which ImageJ stores of composite regions."""


def zipped(regions: Mapping[str, Sequence[Contour]]) -> bytes:
    """A zip of regions, as ImageJ's manager of regions opens it.

    Args:
      regions: the outlines of each, by its name; more than one make a region with holes.

    Raises:
      UserError: without the package roifile.
    """
    try:
        import roifile  # noqa: F401
    except ImportError as error:
        raise UserError(
            "config.score.formats has imagej, which needs the package roifile: pip install roifile"
        ) from error
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, outlines in regions.items():
            whole = _composite(name, outlines) if len(outlines) > 1 else _polygon(name, outlines[0])
            # A fixed date, so that the same regions are the same file.
            file.writestr(zipfile.ZipInfo(f"{name}.roi"), whole.tobytes())
    return buffer.getvalue()


def _polygon(name: str, outline: Contour) -> "ImagejRoi":
    from roifile import ROI_TYPE, ImagejRoi

    roi = ImagejRoi.frompoints(outline.astype(np.float32), name=name)
    roi.roitype = ROI_TYPE.POLYGON
    return roi


def _composite(name: str, outlines: Sequence[Contour]) -> "ImagejRoi":
    from roifile import ROI_TYPE, ImagejRoi

    roi = ImagejRoi()
    roi.name, roi.roitype = name, ROI_TYPE.RECT
    path: list[float] = []
    for outline in outlines:
        for number, point in enumerate(outline.tolist()):
            path += [_LINE if number else _MOVE, *point]
        path.append(_CLOSE)
    roi.multi_coordinates = np.array(path, np.float32)
    roi.shape_roi_size = len(path)
    low, high = outlines[0].min(axis=0), outlines[0].max(axis=0)
    roi.left, roi.top = (int(value) for value in np.floor(low))
    roi.right, roi.bottom = (int(value) for value in np.ceil(high))
    return roi
