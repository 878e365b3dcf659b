"""What a microscope's maker wrote beside the pixels: the scale, and where the data bar begins.

FEI/Thermo (TIFF tags 34680 and 34682) and Zeiss (34118) are decoded by tifffile; Hitachi writes a
text file beside the image (its keys are described in Gwyddion's user guide).
"""

import codecs
import configparser
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import tifffile

# µ is written as the micro sign or as the Greek letter.
_NM = {"m": 1e9, "cm": 1e7, "mm": 1e6, "µm": 1e3, "μm": 1e3, "um": 1e3, "nm": 1.0, "pm": 1e-3}
_SQUARE = 0.01  # by how much a pixel's sides may differ


class Microscope(NamedTuple):
    """What is known of an image; None for what is not.

    Attributes:
      nm_per_pixel: the side of a pixel, in nm.
      image_rows: rows above the data bar.
    """

    nm_per_pixel: float | None = None
    image_rows: int | None = None


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
    sections = (tags.get(name) or {} for name in ("Scan", "EScan", "IScan"))
    scan = next((section for section in sections if "PixelWidth" in section), {})
    width, height = (_positive(scan.get(f"Pixel{side}")) for side in ("Width", "Height"))
    if width and height and abs(width / height - 1) > _SQUARE:
        width = None  # an area in square pixels would be wrong
    above = _positive(tags.get("Image", {}).get("ResolutionY"))
    bar = _positive(tags.get("PrivateFei", {}).get("DatabarHeight"))
    # The pixels with the bar are as many rows as the file has; or only the bar's height is known.
    image_rows = int(above) if above and above <= rows else int(rows - bar) if bar else None
    return Microscope(width and width * _NM["m"], image_rows)


def _zeiss(tags: Mapping[str, Any]) -> Microscope:
    # Not ap_pixel_size, which counts the pixels of the screen and not those of the stored image.
    entry = tags.get("ap_image_pixel_size", ())
    if len(entry) == 3 and _positive(entry[1]) and entry[2] in _NM:
        # Zeiss draws its data bar into the picture, so no tag says where it begins.
        return Microscope(entry[1] * _NM[entry[2]], None)
    return Microscope()


def _hitachi(path: Path) -> Microscope:
    """`<name>.txt` beside the image: a section [SemImageFile] with PixelSize in nm."""
    names = (path.with_suffix(ending) for ending in (".txt", ".TXT"))
    beside = next((path for path in names if path.is_file()), None)
    if beside is None:
        return Microscope()
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        content = beside.read_bytes()
        wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        text = content.decode("utf-16" if wide else "utf-8-sig", errors="replace")
        parser.read_string(text)
        size = _positive(parser.get("SemImageFile", "PixelSize").split()[0])
    except (configparser.Error, OSError, IndexError):
        return Microscope()
    return Microscope(size, None)


def _positive(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) and number > 0 else None
