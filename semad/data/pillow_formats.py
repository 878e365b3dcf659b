"""PNG, JPEG, BMP and WebP: Pillow decodes, but for PNGs of 16-bit colour, which it would halve."""

import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import (
    BmpImagePlugin,
    Image,
    JpegImagePlugin,
    PngImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from semad.data.limits import check_size
from semad.data.samples import Kind, Samples, Unreadable, bands

# Importing a plugin is what makes its format known to Pillow. JPEG's finds the MPOs.
_PLUGINS = (
    PngImagePlugin.PngImageFile,
    JpegImagePlugin.JpegImageFile,
    BmpImagePlugin.BmpImageFile,
    WebPImagePlugin.WebPImageFile,
)
_FORMATS = tuple(str(plugin.format) for plugin in _PLUGINS)
_OPENING = threading.Lock()
_PNG = b"\x89PNG\r\n\x1a\n"
# Bytes per pixel while decoding: Pillow's own image, and what the codec keeps beside it.
_DECODER_BYTES = {"WEBP": 16}
_DEEP_COLOUR = ((16, 2), (16, 4), (16, 6))
_MAX_SCANS = 200
_ORIENTATION = 274


def count_frames(path: Path, expected: int = 0) -> int:
    """The images of a file: frames of an animated WebP or PNG, else 1.

    The further pictures of an MPO are other views or previews of the first.

    Raises:
      Unreadable: it is no image.
    """
    with _opened(path, expected) as image:
        return _frames(image)


def decode(path: Path, frame: int, expected: int = 0) -> Samples:
    """Decodes an image; see `semad.data.tiff.decode`.

    Raises:
      Unreadable: what is damaged, too large or not understood.
    """
    with path.open("rb") as file:
        header = _png_header(file.read(33))
    significant = _significant_bits(path)
    if header in _DEEP_COLOUR:
        return _deep_colour(path, frame, expected, significant)
    with _opened(path, expected) as image:
        image.seek(frame)
        _check_scans(path, image)
        image.load()
        cautions: list[str] = []
        orientation = _orientation(image, cautions)
        kind, mode = _kind_and_mode(image)
        values, varies = _values(image, mode)
        if varies:
            cautions.append("its alpha channel was left out")
        if kind == "cmyk":
            values = _adobe(image, values)
        bits = 16 if values.dtype == np.uint16 else 8
        return Samples(
            values=values,
            kind=kind,
            bits=bits,
            significant=significant if bits == 16 else None,
            scaled=True,
            orientation=orientation,
            alpha_varies=varies,
            cautions=tuple(cautions),
        )


@contextmanager
def _opened(path: Path, expected: int = 0) -> Iterator[Image.Image]:
    """The file with its header read and its size checked."""
    stored = path.stat().st_size
    # Pillow's limit does not know how much memory there is; ours is checked before decoding.
    with _OPENING:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            image = Image.open(path, formats=_FORMATS)
        except UnidentifiedImageError as error:
            raise Unreadable("it is not a TIFF, PNG, JPEG, BMP or WebP image") from error
        finally:
            Image.MAX_IMAGE_PIXELS = limit
    with image:
        samples = len(image.getbands()) * (2 if image.mode.startswith("I;16") else 1)
        pixels = image.width * image.height
        decoder = _DECODER_BYTES.get(image.format or "", 4 if samples > 2 else samples)
        needed = pixels * (decoder + 2 * samples)
        check_size(*image.size, pixels * samples, needed, stored, expected)
        yield image


def _frames(image: Image.Image) -> int:
    return getattr(image, "n_frames", 1) if image.format in ("PNG", "WEBP") else 1


def _check_scans(path: Path, image: Image.Image) -> None:
    """A progressive JPEG of thousands of empty scans would take hours."""
    if image.format in ("JPEG", "MPO") and path.read_bytes().count(b"\xff\xda") > _MAX_SCANS:
        raise Unreadable("it has too many scans")


def _orientation(image: Image.Image, cautions: list[str]) -> int:
    try:
        orientation = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # of damaged EXIF data nearly anything is raised
        cautions.append("its EXIF data are damaged; an orientation in them is not known")
        return 1
    if orientation not in range(1, 9):
        cautions.append(f"its orientation {orientation!r:.20} is not understood")
        return 1
    return orientation


def _kind_and_mode(image: Image.Image) -> tuple[Kind, str]:
    """What samples mean, and the mode in which Pillow hands them over."""
    mode = image.mode
    if mode in ("1", "L"):
        return "grey", "L"
    if mode in ("LA", "La"):
        return "grey", "LA"
    if mode.startswith("I;16"):
        return "grey", mode
    if mode == "CMYK":
        return "cmyk", "CMYK"
    if mode == "P":
        return "rgb", "RGBA" if "transparency" in image.info else "RGB"
    if mode in ("RGB", "RGBX", "YCbCr"):
        return "rgb", "RGB"
    if mode in ("RGBA", "RGBa", "PA"):
        return "rgb", "RGBA"
    raise Unreadable(f"a {mode} image is not supported", "convert it to 8-bit or 16-bit")


def _values(image: Image.Image, mode: str) -> tuple[np.ndarray, bool]:
    """The samples without alpha, and whether that varies; band by band, so that no copy is whole.

    Returns:
      (H, W, S) of uint8 or uint16.
    """
    deep = mode.startswith("I;16")
    alpha = mode.endswith("A")
    samples = 1 if deep else len(mode) - alpha
    values = np.empty((image.height, image.width, samples), np.uint16 if deep else np.uint8)
    low, high = 255, 0
    for rows in bands(values):
        band = image.crop((0, rows.start, image.width, min(rows.stop, image.height)))
        array = np.asarray(band if band.mode == mode else band.convert(mode))
        array = array.reshape(*array.shape[:2], -1)
        values[rows] = array[..., :samples]
        if alpha:
            low, high = min(low, int(array[..., -1].min())), max(high, int(array[..., -1].max()))
    return values, low < high


def _adobe(image: Image.Image, values: np.ndarray) -> np.ndarray:
    """Adobe's JPEGs hold inverted inks, and Pillow takes every CMYK JPEG for one of Adobe's."""
    return values if "adobe" in image.info else np.invert(values, out=values)


def _png_header(head: bytes) -> tuple[int, int] | None:
    """Bit depth and colour type of a PNG, None of another file."""
    return (head[24], head[25]) if head[:8] == _PNG and len(head) > 25 else None


def _deep_colour(path: Path, frame: int, expected: int, significant: int | None) -> Samples:
    with _opened(path, expected) as image:
        if _frames(image) > 1:
            raise Unreadable("an animated PNG of 16-bit colour is not supported")
        cautions: list[str] = []
        # Pillow knows the orientation only when all chunks are read.
        image.load()
        orientation = _orientation(image, cautions)
        size = image.size
    import imagecodecs  # large, and only these need it

    array = imagecodecs.png_decode(path.read_bytes())
    if array.shape[:2] != (size[1], size[0]) or array.dtype != np.uint16 or array.ndim != 3:
        raise Unreadable("it is damaged")
    colours = 1 if array.shape[2] < 3 else 3
    varies = False
    if array.shape[2] > colours:
        alpha = array[..., -1]
        varies = bool(alpha.min() != alpha.max())
    if varies:
        cautions.append("its alpha channel was left out")
    return Samples(
        values=array[..., :colours],
        kind="grey" if colours == 1 else "rgb",
        bits=16,
        significant=significant,
        scaled=True,
        orientation=orientation,
        alpha_varies=varies,
        cautions=tuple(cautions),
    )


def _significant_bits(path: Path) -> int | None:
    """sBIT of a PNG: the bits that its samples had before they were stored as sixteen.

    Raises:
      Unreadable: for a chunk that is longer than the file, for which Pillow would make room.
    """
    size = path.stat().st_size
    bits = None
    with path.open("rb") as file:
        if file.read(8) != _PNG:
            return None
        while len(head := file.read(8)) == 8:
            length, kind = struct.unpack(">I4s", head)
            if file.tell() + length > size:
                raise Unreadable("the file is truncated")
            if kind == b"IEND":
                break
            if kind == b"sBIT" and 1 <= length <= 4:
                largest = max(file.read(length))
                bits = largest if 8 <= largest <= 16 else None
                file.seek(4, 1)
            else:
                file.seek(length + 4, 1)
    return bits
