"""What is too large is refused before it is decoded, alike in all containers."""

import struct
import time
import zlib

import numpy as np
import psutil
import pytest
from PIL import Image

from semad.data import limits
from semad.data.images import Reading, read_picture
from semad.data.limits import check_size
from semad.data.samples import Unreadable
from tests.complaints import one_line
from tests.data.corpus import packed_tiff, pillow, tiff

SIZE = 20_000


def bomb(name):
    """An image of 400 megapixels in half a megabyte."""
    packed = zlib.compressobj(1)
    data = packed.compress(bytes(2**20))
    if name == "tif":
        values = np.zeros((1, 1), int)
        tags = {"t256": SIZE, "t257": SIZE, "t259": 8, "t278": SIZE}
        return packed_tiff(values, 8, **tags) + data
    header = struct.pack(">IIBBBBB", SIZE, SIZE, 8, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", data), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )


@pytest.mark.parametrize("name", ["tif", "png"])
def test_a_bomb_is_refused_before_it_is_decoded(tmp_path, name):
    path = tmp_path / f"a.{name}"
    path.write_bytes(bomb(name))
    start = time.perf_counter()
    one_line(lambda: read_picture(path, Reading(1)), path, "20000x20000", "bomb")
    assert time.perf_counter() - start < 1


@pytest.mark.parametrize("name", ["tif", "png"])
def test_a_flat_image_of_usual_size_is_read(tmp_path, name):
    flat = np.full((4096, 4096), 9, np.uint8)
    data = tiff(flat, compression="zlib") if name == "tif" else pillow(flat, "PNG")
    assert len(data) * 200 < flat.nbytes
    path = tmp_path / "a"
    path.write_bytes(data)
    assert read_picture(path, Reading(1)).pixels.shape == (4096, 4096, 1)


@pytest.mark.parametrize("form", ["TIFF", "PNG", "JPEG", "BMP", "WEBP"])
def test_memory_that_is_not_free(tmp_path, monkeypatch, form):
    path = tmp_path / "a"
    path.write_bytes(pillow(np.random.default_rng(0).integers(0, 99, (64, 64), np.uint8), form))

    class Memory:
        available = 2**27 + 1000

    monkeypatch.setattr(psutil, "virtual_memory", Memory)
    assert read_picture(path, Reading(1)).pixels.shape == (64, 64, 1)
    monkeypatch.setattr(limits, "_SMALL", 0)
    one_line(lambda: read_picture(path, Reading(1)), path, "64x64", "memory", "free")


def test_pillows_own_limit_does_not_count_and_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    path = tmp_path / "a.png"
    path.write_bytes(pillow(np.arange(900, dtype=np.uint8).reshape(30, 30), "PNG"))
    assert read_picture(path, Reading(1)).pixels.shape == (30, 30, 1)
    assert Image.MAX_IMAGE_PIXELS == 100


@pytest.mark.parametrize("size", [{"t256": 0}, {"t257": 0}])
def test_images_without_pixels(tmp_path, size):
    path = tmp_path / "a.tif"
    path.write_bytes(packed_tiff(np.zeros((2, 3), int), 8, **size))
    one_line(lambda: read_picture(path, Reading(1)), path, "0")


def test_the_limits():
    check_size(8192, 8192, 2**26, 2**26, 10)
    with pytest.raises(Unreadable, match="bomb"):
        check_size(8192, 8193, 2**26 + 1, 2**26, 2**18)
    check_size(8192, 8193, 2**26 + 1, 2**26, 2**19)
    with pytest.raises(Unreadable, match="memory"):
        check_size(10**6, 10**6, 10**12, 10**12, 10**11)


def test_a_jpeg_of_countless_scans(tmp_path):
    path = tmp_path / "a.jpg"
    data = pillow(np.arange(900, dtype=np.uint8).reshape(30, 30), "JPEG", progressive=True)
    scans = data[data.index(b"\xff\xda") : -2]
    path.write_bytes(data[:-2] + 40 * scans + data[-2:])
    one_line(lambda: read_picture(path, Reading(1)), path, "scans")


def test_a_chunk_that_claims_four_gigabytes(tmp_path):
    path = tmp_path / "a.png"
    data = pillow(np.arange(900, dtype=np.uint8).reshape(30, 30), "PNG")
    place = data.index(b"IEND") - 4
    path.write_bytes(data[:place] + b"\x7f\xff\xff\xffteXt")
    one_line(lambda: read_picture(path, Reading(1)), path, "truncated")
