"""What a microscope's maker wrote beside the pixels: the scale, and where the data bar begins.

FEI/Thermo (TIFF tags 34680 and 34682) and Zeiss (34118) are decoded by tifffile; Hitachi writes a
text file beside the image (its keys are described in Gwyddion's user guide).
"""

import configparser
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import tifffile

_NM = {"m": 1e9, "cm": 1e7, "mm": 1e6, "µm": 1e3, "um": 1e3, "nm": 1.0, "pm": 1e-3}
_SQUARE = 0.01  # by how much a pixel's sides may differ


class Microscope(NamedTuple):
    """What is known of an image; None for what is not.

    Attributes:
      nm_per_pixel: the side of a pixel, in nm.
      image_rows: rows above the data bar.
      maker: `FEI`, `Zeiss` or `Hitachi`.
    """

    nm_per_pixel: float | None = None
    image_rows: int | None = None
    maker: str | None = None


def read_tags(path: Path) -> Microscope:
    """Reads what the maker wrote; whatever is missing or malformed is None.

    A resolution in dots per inch is for printers, no scale, and is not read.
    """
    try:
        with tifffile.TiffFile(path) as tiff:
            if fei := tiff.fei_metadata:
                return _fei(fei, tiff.pages[0].shape[0])
            if zeiss := tiff.sem_metadata:
                return _zeiss(zeiss)
    except Exception:  # noqa: S110 - on a damaged file anything; reading the image will say it
        pass
    return _hitachi(path)


def _fei(tags: Mapping[str, Any], rows: int) -> Microscope:
    scan = next((tags[name] for name in ("Scan", "EScan", "IScan") if tags.get(name)), {})
    width, height = (_positive(scan.get(f"Pixel{side}")) for side in ("Width", "Height"))
    if width and height and abs(width / height - 1) > _SQUARE:
        width = None  # an area in square pixels would be wrong
    above = _positive(tags.get("Image", {}).get("ResolutionY"))
    bar = _positive(tags.get("PrivateFei", {}).get("DatabarHeight"))
    # The pixels with the bar are as many rows as the file has; or only the bar's height is known.
    image_rows = int(above) if above and above <= rows else int(rows - bar) if bar else None
    return Microscope(width and width * _NM["m"], image_rows, "FEI")


def _zeiss(tags: Mapping[str, Any]) -> Microscope:
    for key in ("ap_image_pixel_size", "ap_pixel_size"):
        entry = tags.get(key, ())
        if len(entry) == 3 and _positive(entry[1]) and entry[2] in _NM:
            # Zeiss draws its data bar into the picture, so no tag says where it begins.
            return Microscope(entry[1] * _NM[entry[2]], None, "Zeiss")
    return Microscope(maker="Zeiss")


def _hitachi(path: Path) -> Microscope:
    """`<name>.txt` beside the image: a section [SemImageFile] with PixelSize in nm."""
    beside = path.with_suffix(".txt")
    if beside == path or not beside.is_file():
        return Microscope()
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(beside.read_text(encoding="utf-8", errors="replace").lstrip("\ufeff"))
        size = _positive(parser.get("SemImageFile", "PixelSize").split()[0])
    except (configparser.Error, OSError, IndexError):
        return Microscope()
    return Microscope(size, None, "Hitachi")


def _positive(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) and number > 0 else None
