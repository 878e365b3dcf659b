"""What a microscope's maker wrote in or beside a file: the scale, and where the data bar begins."""

import codecs
import re
from pathlib import Path
from typing import NamedTuple

import tifffile

from semad.data import scales
from semad.data.scales import Scale

_NOT_UNDERSTOOD = "its scale is not understood"
_LONGEST = 2**20  # bytes of a maker's text; longer ones are none
_FEI, _ZEISS, _TESCAN, _THERMO = (34680, 34682), 34118, 50431, 34683
# Makers whose tags hold a scale that is not read.
_OTHERS = {33560: "Olympus", 33471: "Olympus", 37706: "TVIPS", 65009: "Gatan"}
_ENDINGS = (".txt", ".hdr", ".xml")
_NAMES_A_SCALE = re.compile(r"pixel\W?_?size|pixel\W?width|micron|nm/pixel", re.I)


class Microscope(NamedTuple):
    """What is known of an image; None for what is not.

    Attributes:
      nm_per_pixel: the side of a pixel, in nm.
      image_rows: rows above the data bar.
      cautions: names of a scale that was seen and not understood.
    """

    nm_per_pixel: float | None = None
    image_rows: int | None = None
    cautions: tuple[str, ...] = ()


def read_microscope(
    path: Path, size: tuple[int, int], pages: tuple[tifffile.TiffPage, ...] = ()
) -> Microscope:
    """Reads what the maker wrote.

    A resolution in dots per inch is for printers, no scale, and is not read.

    Args:
      path: the image; text files beside it are read too.
      size: (width, height) of the image as stored.
      pages: of a TIFF, the image's and the file's first one, which may hold the tags of all.
    """
    known = []
    for page in pages:
        try:
            known += _of_page(page, size)
        except Exception:  # of damaged tags tifffile raises nearly anything
            known.append(Scale(seen="damaged tags"))
    known += [_of_text(file, size) for file in sidecars(path)]
    nm = next((scale.nm_per_pixel for scale in known if scale.nm_per_pixel), None)
    rows = next((scale.image_rows for scale in known if scale.image_rows), None)
    texts = (" ".join(scale.seen.split()) for scale in known if nm is None)
    seen = dict.fromkeys(text for text in texts if text)
    return Microscope(nm, rows, tuple(f"{_NOT_UNDERSTOOD}: {text}" for text in seen))


def sidecars(image: Path) -> list[Path]:
    """The text files that belong to an image by their name: `a.txt`, `a.tif.xml`, `a-tif.hdr`."""
    extension = image.suffix[1:]
    stems = (image.stem, image.name, f"{image.stem}-{extension}")
    names = [
        f"{stem}{cased}"
        for ending in _ENDINGS
        for stem in stems
        for cased in (ending, ending.upper(), f".{ending[1:].title()}")
    ]
    found = [image.with_name(name) for name in names]
    return [path for path in found if path != image and path.is_file()]


def _of_page(page: tifffile.TiffPage, size: tuple[int, int]) -> list[Scale]:
    known = []
    rows = size[1]
    for code in (*_FEI, _ZEISS, _TESCAN, _THERMO):
        if code not in page.tags or page.tags[code].count > _LONGEST:
            continue
        value = page.tags[code].value
        if code in _FEI and isinstance(value, dict):
            known.append(scales.fei(value, rows))
        elif code == _ZEISS and isinstance(value, dict):
            known.append(scales.zeiss(value))
        elif code == _TESCAN:
            known.append(scales.tescan(_text(value), rows))
        elif code == _THERMO:
            known.append(scales.thermo(_text(value), rows))
    description = page.description[:_LONGEST]
    if description.startswith(("ImageJ=", "SCIFIO=")):
        known.append(scales.imagej(description, (_per_unit(page, 282), _per_unit(page, 283))))
    elif description.rstrip().endswith("OME>"):
        known.append(scales.ome(description))
    known += [
        Scale(seen=f"tags of {maker}") for code, maker in _OTHERS.items() if code in page.tags
    ]
    return known


def _per_unit(page: tifffile.TiffPage, code: int) -> float | None:
    value = page.tags.valueof(code)
    if not isinstance(value, tuple) or len(value) != 2 or not value[1]:
        return None
    return scales.positive(value[0] / value[1])


def _of_text(path: Path, size: tuple[int, int]) -> Scale:
    try:
        if path.stat().st_size > _LONGEST:
            return Scale()
        text = _text(path.read_bytes())
    except OSError as error:
        return Scale(seen=f"{path.name} cannot be read: {error.strerror}")
    if "[SemImageFile]" in text:
        return scales.hitachi(text, size)
    if re.search(r"^\$CM_|^\$\$?SM_", text, re.M):
        return scales.jeol(text, size)
    if "PixelSizeX" in text or "[MAIN]" in text:
        return scales.tescan(text, size[1])
    match = _NAMES_A_SCALE.search(text)
    return Scale(seen=f"{match[0]} in {path.suffix} beside it") if match else Scale()


def _text(value: object) -> str:
    """Text of a tag or file in any of the encodings that makers use."""
    if not isinstance(value, bytes):
        return value if isinstance(value, str) else ""
    if value.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return value.decode("utf-16", errors="replace")
    if value[1:40:2].count(0) > 10:
        return value.decode("utf-16-le", errors="replace")
    try:
        return value.decode("utf-8-sig")
    except UnicodeDecodeError:
        return value.decode("cp1252", errors="replace")
