"""Scales as the makers of microscopes and programs write them: numbers, units, keys.

The keys are those that Gwyddion's user guide, RosettaSciIO and the OME schema describe.
"""

import html
import math
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

_NM = {"m": 1e9, "cm": 1e7, "mm": 1e6, "µm": 1e3, "um": 1e3, "nm": 1.0, "pm": 1e-3, "å": 0.1}
_NM |= {"micron": 1e3, "microns": 1e3, "micrometer": 1e3, "micrometre": 1e3}
_NM |= {"nanometer": 1.0, "nanometre": 1.0, "angstrom": 0.1, "a": 0.1}
_SQUARE = 0.01  # by how much a pixel's sides may differ
_NO_LENGTHS = ("", "pixel", "pixels", "inch", "inches", "dpi")


class Scale(NamedTuple):
    """What a maker's data say.

    Attributes:
      nm_per_pixel: the side of a pixel, None where it is not stated or not understood.
      image_rows: rows above the data bar, where stated.
      seen: what names a scale and is not understood, in words; empty where there is no such thing.
    """

    nm_per_pixel: float | None = None
    image_rows: int | None = None
    seen: str = ""


def positive(value: Any) -> float | None:
    """A positive number, which may have a decimal comma."""
    try:
        number = float(str(value).strip().replace(",", "."))
    except ValueError:
        return None
    return number if math.isfinite(number) and number > 0 else None


def unit_nm(unit: str) -> float | None:
    """A unit of length in nm."""
    plain = re.sub(r"\\u([0-9a-fA-F]{4})", lambda match: chr(int(match[1], 16)), unit)
    # The Greek letter mu and the ångström sign look like the micro sign and the letter.
    plain = html.unescape(plain).strip().replace("\u03bc", "µ").replace("\u212b", "Å")
    return _NM.get(plain.casefold().replace("\u03bc", "µ"))


def length_nm(text: str, unit: str = "") -> float | None:
    """A length such as `1,5 µm` in nm; without a unit of its own it is in `unit`."""
    match = re.fullmatch(r"\s*([-+0-9.,eE]+)\s*(\S*)\s*", text)
    if match is None:
        return None
    number, factor = positive(match[1]), unit_nm(match[2] or unit)
    length = number * factor if number and factor else 0.0
    return length if math.isfinite(length) and length > 0 else None


def square(maker: str, width: float | None, height: float | None, seen: str) -> Scale:
    """A scale from a pixel's sides in nm; the height may be unknown."""
    if width and height and abs(width / height - 1) > _SQUARE:
        return Scale(seen=f"{maker}: pixels that are not square ({seen})")
    return Scale(width) if width else Scale(seen=f"{maker}: {seen}")


def entry(text: str, key: str) -> str | None:
    """The value of `key=value` or `key value` on a line of its own."""
    match = re.search(rf"^[ \t]*{re.escape(key)}(?:[ \t]*=|[ \t])[ \t]*(.*?)[ \t\r]*$", text, re.M)
    return match[1] if match else None


def fei(tags: Mapping[str, Any], rows: int) -> Scale:
    """FEI's and Thermo Fisher's sections, as tifffile reads them, of an image of `rows` rows."""
    sections = (tags.get(name) or {} for name in ("Scan", "EScan", "IScan"))
    scan = next((section for section in sections if "PixelWidth" in section), {})
    sides = [scan.get(f"Pixel{side}") for side in ("Width", "Height")]
    width, height = (positive(side) for side in sides)
    above = positive(tags.get("Image", {}).get("ResolutionY"))
    bar = positive(tags.get("PrivateFei", {}).get("DatabarHeight"))
    # The pixels with the bar are as many rows as the file has; or only the bar's height is known.
    known = int(above) if above and above <= rows else int(rows - bar) if bar else None
    scale = Scale()
    if scan:
        metres = unit_nm("m") or 0.0
        seen = f"PixelWidth={sides[0]!s:.30}, PixelHeight={sides[1]!s:.30}"
        scale = square("FEI", width and width * metres, height and height * metres, seen)
    return scale._replace(image_rows=known)


def thermo(text: str, rows: int) -> Scale:
    """The XML of Thermo Fisher's Phenom."""
    sides = re.findall(r"<pixel(?:Width|Height)\s+unit=\"([^\"]*)\"[^>]*>([^<]{1,40})<", text)
    bar = positive((re.findall(r"<databarHeight>(\d{1,5})<", text) or [""])[0])
    width, height, *_ = [length_nm(value, unit) for unit, value in sides] + [None, None]
    seen = f"pixelWidth {' '.join(sides[0][::-1])}" if sides else ""
    scale = square("Thermo", width, height, seen) if sides else Scale()
    return scale._replace(image_rows=int(rows - bar) if bar and bar < rows else None)


def zeiss(tags: Mapping[str, Any]) -> Scale:
    """Zeiss's entries. The data bar is drawn into the picture, so no tag says where it begins."""
    # AP_PIXEL_SIZE counts the pixels of the screen and not those of the stored image.
    value = tags.get("ap_image_pixel_size") or tags.get("ap_pixel_size")
    if not value:
        return Scale()
    text = " ".join(str(part) for part in value[1:])
    usable = "ap_image_pixel_size" in tags
    return square("Zeiss", length_nm(text) if usable else None, None, f"{value[0]} = {text:.30}")


def tescan(text: str, rows: int) -> Scale:
    """TESCAN's header, of a .hdr file or a tag: pixel sizes in m, and the rows of the data bar."""
    sides = [entry(text, f"PixelSize{axis}") for axis in "XY"]
    strip = positive(entry(text, "ImageStripSize"))
    known = int(rows - strip) if strip and strip < rows else None
    if sides[0] is None:
        return Scale(image_rows=known)
    width, height = (length_nm(side or "", "m") for side in sides)
    return square("TESCAN", width, height, f"PixelSizeX={sides[0]:.30}")._replace(image_rows=known)


def hitachi(text: str, size: tuple[int, int]) -> Scale:
    """Hitachi's section [SemImageFile]: PixelSize in nm. `size` is (width, height)."""
    value = entry(text, "PixelSize")
    scanned = re.findall(r"\d{1,9}", entry(text, "DataSize") or "")
    known = _rows([int(number) for number in scanned[:2]], size)
    if not value:
        return Scale(image_rows=known)
    return square("Hitachi", length_nm(value, "nm"), None, f"PixelSize={value:.30}")._replace(
        image_rows=known
    )


def jeol(text: str, size: tuple[int, int]) -> Scale:
    """JEOL's lines: the micron bar's length in pixels, and what it stands for."""
    bar, marker = (
        entry(text, f"$$SM_MICRON_{key}") or entry(text, f"$SM_MICRON_{key}")
        for key in ("BAR", "MARKER")
    )
    scanned = [int(number) for number in re.findall(r"\d{1,9}", entry(text, "$CM_FULL_SIZE") or "")]
    known = _rows(scanned[:2], size)
    if bar is None and marker is None:
        return Scale(image_rows=known)
    pixels, length = positive(bar), length_nm(marker or "")
    seen = f"SM_MICRON_BAR {bar!s:.20}, SM_MICRON_MARKER {marker!s:.20}"
    if scanned and scanned[0] != size[0]:
        pixels, seen = None, f"{seen}, of an image {scanned[0]} pixels wide"
    nm = length / pixels if pixels and length else None
    return square("JEOL", nm, None, seen)._replace(image_rows=known)


def _rows(scanned: list[int], size: tuple[int, int]) -> int | None:
    """Rows of the scan, where a data bar was put below it."""
    below = len(scanned) == 2 and scanned[0] == size[0] and 0 < scanned[1] < size[1]
    return scanned[1] if below else None


def imagej(text: str, per_unit: tuple[float | None, float | None]) -> Scale:
    """ImageJ's description: a unit, of which the resolution tags count the pixels (x, y)."""
    unit = entry(text, "unit")
    if unit is None or unit.casefold() in _NO_LENGTHS:
        return Scale()
    factor = unit_nm(unit)
    width, height = (factor / count if factor and count else None for count in per_unit)
    return square("ImageJ", width, height, f"unit={unit:.20}, pixels per unit {per_unit[0]}")


def ome(text: str) -> Scale:
    """OME-XML's physical sizes of the first image's pixels, by default in µm."""
    pixels = re.search(r"<(?:\w+:)?Pixels\b([^>]{1,5000})>", text)
    key = r"(PhysicalSize[XY](?:Unit)?)\s*=\s*[\"']([^\"']*)[\"']"
    sizes = dict(re.findall(key, pixels[1])) if pixels else {}
    if "PhysicalSizeX" not in sizes:
        return Scale()
    units = [sizes.get(f"PhysicalSize{axis}Unit", "µm") for axis in "XY"]
    width = length_nm(sizes["PhysicalSizeX"], units[0])
    height = length_nm(sizes.get("PhysicalSizeY", ""), units[1])
    return square(
        "OME", width, height, f"PhysicalSizeX={sizes['PhysicalSizeX']:.20} {units[0]:.20}"
    )
