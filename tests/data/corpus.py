"""Small files of every kind that is read, for tests that damage or compare them."""

import io
import struct
import zlib
from typing import Any

import imagecodecs
import numpy as np
import tifffile
from PIL import Image

HEIGHT, WIDTH = 20, 24
_TOP = {8: np.uint8, 16: np.uint16}


def noise(bits: int, samples: int, seed: int = 0) -> np.ndarray:
    """Values of all the range, (HEIGHT, WIDTH, samples), the first of them the largest."""
    values = np.random.default_rng(seed).integers(0, 2**bits, (HEIGHT, WIDTH, samples))
    values[0, 0] = 2**bits - 1
    return values.astype(_TOP[8 if bits <= 8 else 16])


def tiff(array: np.ndarray, **options: Any) -> bytes:
    """A TIFF by tifffile."""
    file = io.BytesIO()
    tifffile.imwrite(file, array, **options)
    return file.getvalue()


def pillow(array: np.ndarray | Image.Image, form: str, **options: Any) -> bytes:
    """A file by Pillow."""
    file = io.BytesIO()
    image = array if isinstance(array, Image.Image) else Image.fromarray(array)
    image.save(file, form, **options)
    return file.getvalue()


def packed_tiff(
    values: np.ndarray, bits: int, order: str = "<", photometric: int = 1, **tags: int
) -> bytes:
    """A grey TIFF of values (H, W), written by hand: rows of `bits` bits, the highest first."""
    lines = ["".join(f"{value:0{bits}b}" for value in row) for row in values.tolist()]
    data = b"".join(
        int(line + "0" * (-len(line) % 8), 2).to_bytes(-(-len(line) // 8), "big") for line in lines
    )
    height, width = values.shape
    entries = {256: width, 257: height, 258: bits, 259: 1, 262: photometric, 273: 8, 277: 1}
    entries |= {278: height, 279: len(data)} | {int(code[1:]): tags[code] for code in tags}
    offset = 8 + len(data) + len(data) % 2
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", offset)
    ifd = struct.pack(f"{order}H", len(entries))
    for code, value in sorted(entries.items()):
        ifd += struct.pack(f"{order}HHII", code, 4, 1, value)
    return head + data + b"\0" * (len(data) % 2) + ifd + bytes(4)


def png_chunk(png: bytes, kind: bytes, data: bytes) -> bytes:
    """A PNG with one chunk more, behind its header."""
    crc = struct.pack(">I", zlib.crc32(kind + data))
    return png[:33] + struct.pack(">I", len(data)) + kind + data + crc + png[33:]


def _tiffs() -> dict[str, bytes]:
    grey, deep, rgb, cmyk = noise(8, 1)[..., 0], noise(16, 1)[..., 0], noise(8, 3), noise(8, 4)
    smooth = 5 * np.add.outer(np.arange(HEIGHT), np.arange(WIDTH)).astype(np.uint8)
    files = {}
    for compression in (None, "lzw", "zlib", "packbits", "zstd", "lzma"):
        for order in "<>":
            name = f"{compression}{'le' if order == '<' else 'be'}"
            options: dict[str, Any] = {"compression": compression, "byteorder": order}
            files[f"grey-{name}"] = tiff(grey, photometric="miniswhite", **options)
            files[f"deep-{name}"] = tiff(deep, rowsperstrip=7, **options)
            files[f"rgb-{name}"] = tiff(rgb, photometric="rgb", tile=(16, 16), **options)
    planes = np.moveaxis(rgb, -1, 0)
    files["planes"] = tiff(planes, photometric="rgb", planarconfig="separate")
    files["predictor"] = tiff(deep, compression="zlib", predictor=True)
    files["cmyk"] = tiff(cmyk, photometric="separated")
    files["alpha"] = tiff(cmyk, photometric="rgb", extrasamples=["unassalpha"])
    files["big"] = tiff(grey, bigtiff=True)
    files["palette"] = tiff(
        grey, photometric="palette", colormap=85 * np.arange(768).reshape(3, 256).astype(np.uint16)
    )
    files["stack"] = tiff(np.stack([grey, smooth, grey]), photometric="minisblack")
    files["imagej"] = tiff(
        np.stack([grey, smooth]), imagej=True, resolution=(5, 5), metadata={"unit": "um"}
    )
    files["ome"] = tiff(deep, ome=True, metadata={"PhysicalSizeX": 2.0, "SignificantBits": 16})
    files["fei"] = tiff(grey, extratags=[(34682, 2, 0, "[Scan]\nPixelWidth=1e-9\n", True)])
    zeiss = "\r\n0\r\nAP_IMAGE_PIXEL_SIZE\r\nImage Pixel Size = 4 nm\r\n"
    files["zeiss"] = tiff(grey, extratags=[(34118, 2, 0, zeiss, True)])
    files["tescan"] = tiff(grey, extratags=[(50431, 7, 0, b"[MAIN]\nPixelSizeX=1e-8\n", True)])
    files["jpeg"] = tiff(np.stack([smooth] * 3, -1), photometric="rgb", compression="jpeg")
    files["webp"] = tiff(rgb, photometric="rgb", compression="webp")
    files["png"] = tiff(rgb, photometric="rgb", compression="png")
    files["jpeg2000"] = tiff(rgb, photometric="rgb", compression="jpeg2000")
    bit = Image.fromarray(grey > 100)
    for compression in ("group3", "group4", "tiff_ccitt", "packbits"):
        files[f"bit-{compression}"] = pillow(bit, "TIFF", compression=compression)
    files["ycbcr"] = pillow(Image.fromarray(rgb).convert("YCbCr"), "TIFF")
    for bits in (2, 4, 10, 12, 14):
        files[f"packed{bits}"] = packed_tiff(noise(bits, 1)[..., 0], bits, ">")
    return {f"{name}.tif": data for name, data in files.items()}


def _others() -> dict[str, bytes]:
    grey, deep, rgb = noise(8, 1)[..., 0], noise(16, 1)[..., 0], noise(8, 3)
    colour = Image.fromarray(rgb)
    exif = Image.Exif()
    exif[274] = 6
    bit = Image.fromarray(grey > 100)
    palette = colour.quantize(16)
    rgba = np.concatenate([rgb, rgb[..., :1]], -1)
    files = {"cmyk.jpg": pillow(colour.convert("CMYK"), "JPEG")}
    for form, ending in (("PNG", "png"), ("BMP", "bmp"), ("JPEG", "jpg"), ("WEBP", "webp")):
        files[f"grey.{ending}"] = pillow(grey, form)
        files[f"rgb.{ending}"] = pillow(rgb, form)
    for form, ending in (("PNG", "png"), ("BMP", "bmp")):
        files[f"bit.{ending}"] = pillow(bit, form)
        files[f"palette.{ending}"] = pillow(palette, form)
    files["deep.png"] = pillow(deep, "PNG")
    files["deep-rgb.png"] = imagecodecs.png_encode(noise(16, 3))
    files["sbit.png"] = png_chunk(pillow(noise(12, 1)[..., 0], "PNG"), b"sBIT", b"\x0c")
    files["alpha.png"], files["alpha.webp"] = pillow(rgba, "PNG"), pillow(rgba, "WEBP")
    files["key.png"] = pillow(palette, "PNG", transparency=bytes(range(16)))
    files["turned.png"] = pillow(rgb, "PNG", exif=exif)
    files["turned.jpg"] = pillow(rgb, "JPEG", exif=exif, progressive=True)
    frames = [Image.fromarray(noise(8, 3, seed)) for seed in range(3)]
    files["frames.webp"] = pillow(
        frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True
    )
    files["frames.png"] = pillow(frames[0], "PNG", save_all=True, append_images=frames[1:])
    files["views.jpg"] = pillow(frames[0], "MPO", save_all=True, append_images=frames[1:])
    return files


def corpus() -> dict[str, bytes]:
    """Files by name."""
    return _tiffs() | _others()
