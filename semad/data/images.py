"""Reading images and masks from files, with one clear line for everything that can be wrong."""

import logging
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image, UnidentifiedImageError

from semad.errors import UserError

EXTENSIONS = (".tif", ".tiff", ".png", ".jpg", ".jpeg", ".bmp")

_TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
# The bit depth and colour type bytes of a PNG with 16 bits and more than one channel.
_DEEP_COLOUR_PNG = (b"\x10\x02", b"\x10\x04", b"\x10\x06")

# tifffile logs every odd tag of a microscope's file, and errors that it raises as well.
logging.getLogger("tifffile").setLevel(logging.CRITICAL)


def list_images(folder: str | Path) -> list[Path]:
    """Returns the image files of a folder, sorted by name; hidden files and others are skipped.

    Raises:
      UserError: the folder is missing, not a folder, unreadable, or holds no image.
    """
    images = [path for path in _entries(Path(folder)) if _is_image_name(path) and path.is_file()]
    if not images:
        raise UserError(f"no images in {folder}; expected files named {' '.join(EXTENSIONS)}")
    return images


def list_folders(folder: str | Path) -> list[Path]:
    """Returns the folders in a folder, sorted by name, without hidden ones.

    Raises:
      UserError: the folder is missing, not a folder, or unreadable.
    """
    entries = _entries(Path(folder))
    return [path for path in entries if path.is_dir() and not path.name.startswith(".")]


def read_image(path: str | Path, channels: int) -> np.ndarray:
    """Reads one image file: TIFF (its first page), PNG, JPEG or BMP.

    Args:
      path: the file; its content decides the format, not its name.
      channels: 1 for grey (colour becomes ITU-R 601 luma), 3 for RGB (grey is repeated).

    Returns:
      `(height, width, channels)`, uint16 for 16-bit files and uint8 for all others. An alpha
      channel is dropped; 1-bit images become 0 and 255.

    Raises:
      UserError: the file is missing, empty, damaged, no image, or of an unsupported kind.
    """
    path = Path(path)
    try:
        _check_file(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            array = _decode(path)
    except UserError:
        raise
    except UnidentifiedImageError as error:
        raise _unreadable(path, "it is not a TIFF, PNG, JPEG or BMP image") from error
    except Exception as error:  # on damaged files the decoders raise nearly anything
        raise _unreadable(path, " ".join(str(error).split()) or type(error).__name__) from error
    return to_channels(_checked_depth(array, path), channels)


def read_mask(path: str | Path, shape: tuple[int, int]) -> np.ndarray:
    """Reads a mask, anomalous wherever it is not black, as a bool array of `shape`.

    Raises:
      UserError: the file cannot be read, or its size is not `shape` (height, width).
    """
    mask: np.ndarray = np.asarray(read_image(path, 3).any(axis=-1))
    if mask.shape != tuple(shape):
        raise UserError(
            f"mask {path} is {mask.shape[1]}x{mask.shape[0]} pixels but its image is "
            f"{shape[1]}x{shape[0]}; make the mask as large as the image"
        )
    return mask


def same_depth(images: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Returns the images in one dtype: where any is uint16, uint8 ones are scaled by 257."""
    if any(image.dtype == np.uint16 for image in images):
        return [_to_uint16(image) for image in images]
    return list(images)


def to_channels(image: np.ndarray, channels: int) -> np.ndarray:
    """Converts `(height, width)` or `(height, width, 1 to 4)` to `(height, width, channels)`.

    Two and four channels are grey and colour with alpha, which is dropped. The dtype, uint8 or
    uint16, stays.
    """
    if image.ndim == 2:
        image = image[..., None]
    image = image[..., :3] if image.shape[-1] >= 3 else image[..., :1]
    if channels == 1 and image.shape[-1] == 3:
        return _luma(image)
    return np.repeat(image, channels, axis=-1) if image.shape[-1] < channels else image


def _luma(rgb: np.ndarray) -> np.ndarray:
    weighted = rgb.astype(np.uint32) @ np.array([299, 587, 114], np.uint32)
    return ((weighted + 500) // 1000).astype(rgb.dtype)[..., None]


def _to_uint16(image: np.ndarray) -> np.ndarray:
    return image if image.dtype == np.uint16 else image.astype(np.uint16) * np.uint16(257)


def _entries(folder: Path) -> list[Path]:
    try:
        if not folder.exists():
            raise UserError(f"folder not found: {folder}; check the path")
        if not folder.is_dir():
            raise UserError(f"not a folder: {folder}; give the folder that holds the images")
        return sorted(folder.iterdir())
    except OSError as error:
        raise UserError(f"cannot read folder {folder}: {error.strerror}; check access") from error


def _is_image_name(path: Path) -> bool:
    return path.suffix.lower() in EXTENSIONS and not path.name.startswith(".")


def _check_file(path: Path) -> None:
    if not path.is_file():
        raise UserError(f"image file not found: {path}; check the path")
    if path.stat().st_size == 0:
        raise _unreadable(path, "the file is empty")


def _unreadable(path: Path, reason: str) -> UserError:
    return UserError(f"cannot read image {path}: {reason}; replace the file or remove it")


def _decode(path: Path) -> np.ndarray:
    with path.open("rb") as file:
        header = file.read(26)
    if header.startswith(_TIFF_MAGIC):
        return _decode_tiff(path)
    # Pillow would quietly read 16-bit colour as 8 bits.
    if header[1:4] == b"PNG" and header[24:26] in _DEEP_COLOUR_PNG:
        raise UserError(f"16-bit colour PNG is not supported: {path}; convert it to a TIFF")
    return _decode_pillow(path)


def _decode_tiff(path: Path) -> np.ndarray:
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages[0].aspage()
        ends = (o + n for o, n in zip(page.dataoffsets, page.databytecounts, strict=True))
        if max(ends) > path.stat().st_size:
            raise _unreadable(path, "the file is truncated")
        # Without imagecodecs tifffile lacks LZW and JPEG; Pillow has them, deep colour excepted.
        deep_colour = page.samplesperpixel > 1 and page.bitspersample > 8
        if page.compression not in tifffile.TIFF.DECOMPRESSORS and not deep_colour:
            return _decode_pillow(path)
        return _expand_tiff(page.asarray(), page)


def _expand_tiff(array: np.ndarray, page: tifffile.TiffPage) -> np.ndarray:
    """Turns a page's raw values into grey or colour with the channels last."""
    if page.photometric == tifffile.PHOTOMETRIC.PALETTE:
        return (np.asarray(page.colormap) >> 8).astype(np.uint8).T[array]
    if page.axes == "SYX":
        array = np.moveaxis(array, 0, -1)
    if array.dtype == bool:
        array = array * np.uint8(255)
    if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE:
        array = ~array
    return array


def _decode_pillow(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        if image.mode.startswith(("I", "F")):
            return np.asarray(image)
        return np.asarray(image.convert("L" if image.mode in ("1", "L", "LA", "La") else "RGB"))


def _checked_depth(array: np.ndarray, path: Path) -> np.ndarray:
    if array.dtype not in (np.uint8, np.uint16):
        raise UserError(
            f"{array.dtype} image is not supported: {path}; convert it to 8-bit or 16-bit"
        )
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[-1] > 4):
        raise UserError(
            f"image of shape {array.shape} is not supported: {path}; save one grey or RGB page"
        )
    return array.astype(array.dtype.newbyteorder("="), copy=False)
