"""Reading images: every format by hand-made values, every error by its one line."""

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from semad.data import images
from tests.complaints import one_line

GREY = np.array([[0, 50, 255], [7, 128, 200]], np.uint8)
RGB = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [10, 20, 30]]], np.uint8)
LUMA = [[76, 150], [29, 18]]  # .299 R + .587 G + .114 B, rounded
DEEP = np.array([[0, 257, 65535], [4095, 1, 40000]], np.uint16)


def read(path, channels):
    return images.read_picture(path, images.Reading(channels)).pixels


def save(path, array, **options):
    Image.fromarray(array).save(path, **options)
    return path


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif", "a.TIFF"])
def test_grey_and_colour_by_both_channel_counts(tmp_path, name):
    grey = save(tmp_path / name, GREY)
    assert read(grey, 1).dtype == np.uint8
    assert np.array_equal(read(grey, 1)[..., 0], GREY)
    assert np.array_equal(read(grey, 3), np.stack([GREY] * 3, -1))
    colour = save(tmp_path / f"rgb_{name}", RGB)
    assert np.array_equal(read(colour, 3), RGB)
    assert read(colour, 1)[..., 0].tolist() == LUMA


def test_jpeg(tmp_path):
    path = save(tmp_path / "a.jpg", np.full((16, 16), 100, np.uint8), quality=95)
    assert np.abs(read(path, 1).astype(int) - 100).max() <= 1


def test_sixteen_bits_stay(tmp_path):
    png, tiff = save(tmp_path / "a.png", DEEP), tmp_path / "a.tif"
    tifffile.imwrite(tiff, DEEP, byteorder=">")
    lzw = save(tmp_path / "lzw.tif", DEEP, compression="tiff_lzw")
    for path in (png, tiff, lzw):
        image = read(path, 1)
        assert image.dtype == np.uint16
        assert image.dtype.isnative
        assert np.array_equal(image[..., 0], DEEP)
    tifffile.imwrite(tiff, RGB.astype(np.uint16) * 257, photometric="rgb")
    assert read(tiff, 1)[0, 0, 0] == 19595  # .299 of 65535, rounded


def test_palette_one_bit_and_alpha(tmp_path):
    palette = Image.new("P", (2, 1))
    palette.putpalette([9, 9, 9, 255, 0, 0])
    palette.putdata([0, 1])
    palette.save(tmp_path / "p.png", transparency=b"\x00\x80")
    assert read(tmp_path / "p.png", 3).tolist() == [[[9, 9, 9], [255, 0, 0]]]
    assert read(tmp_path / "p.png", 1)[..., 0].tolist() == [[9, 76]]
    palette.save(tmp_path / "p.tif")
    assert read(tmp_path / "p.tif", 3).tolist() == [[[9, 9, 9], [255, 0, 0]]]
    for name in ("bit.png", "bit.tif"):
        path = save(tmp_path / name, GREY > 100)
        assert read(path, 1)[..., 0].tolist() == [[0, 0, 255], [0, 255, 255]]
    alpha = np.full((2, 3), 128, np.uint8)
    path = save(tmp_path / "la.png", np.stack([GREY, alpha], -1))
    assert np.array_equal(read(path, 1)[..., 0], GREY)
    path = save(tmp_path / "rgba.png", np.concatenate([RGB, alpha[:, :2, None]], -1))
    assert np.array_equal(read(path, 3), RGB)


def test_tiff_kinds(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, 255 - GREY, photometric="miniswhite")
    assert np.array_equal(read(path, 1)[..., 0], GREY)
    tifffile.imwrite(path, np.moveaxis(RGB, -1, 0), photometric="rgb", planarconfig="separate")
    assert np.array_equal(read(path, 3), RGB)
    png_by_another_name = save(tmp_path / "b.tif", GREY, format="PNG")
    assert np.array_equal(read(png_by_another_name, 1)[..., 0], GREY)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int16", "uint32"])
def test_unsupported_depth(tmp_path, dtype):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, GREY.astype(dtype))
    one_line(lambda: read(path, 1), path, dtype, "convert")


def test_sixteen_bit_colour_png(tmp_path):
    deep = np.array([[[65535, 0, 1], [257, 40000, 7]]], np.uint16)
    path = tmp_path / "a.png"
    path.write_bytes(imagecodecs.png_encode(deep))
    assert np.array_equal(read(path, 3), deep)
    path.write_bytes(imagecodecs.png_encode(np.concatenate([deep, deep[..., :1]], -1)))
    picture = images.read_picture(path, images.Reading(3))
    assert np.array_equal(picture.pixels, deep)
    assert picture.cautions == ("its alpha channel was left out",)
    path.write_bytes(path.read_bytes()[:-40])
    one_line(lambda: read(path, 3), path, "cannot read image")


@pytest.mark.parametrize("name", ["a.png", "a.tif", "packbits.tif", "rows.tif", "a.jpg", "a.bmp"])
@pytest.mark.parametrize("kept", [0.0, 0.02, 0.5, 0.95])
def test_truncated_files(tmp_path, name, kept):
    noise = np.random.default_rng(0).integers(0, 256, (64, 80), dtype=np.uint8)
    path = tmp_path / name
    if name == "rows.tif":
        tifffile.imwrite(path, noise, rowsperstrip=8, compression="zlib")
    else:
        save(path, noise, **({"compression": "packbits"} if name == "packbits.tif" else {}))
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)])
    one_line(lambda: read(path, 1), path, "cannot read image")


@pytest.mark.parametrize("name", ["a.tif", "a.png", "a.jpg"])
def test_text_and_damaged_headers(tmp_path, name):
    path = tmp_path / name
    path.write_text("these are\nonly words\n")
    one_line(lambda: read(path, 1), path, "not a TIFF, PNG, JPEG, BMP or WebP")
    path.write_bytes(b"II*\0" + bytes(range(60)))
    one_line(lambda: read(path, 1), path)


def test_missing_file_and_folder_in_its_place(tmp_path):
    one_line(lambda: read(tmp_path / "no.png", 1), tmp_path / "no.png")
    one_line(lambda: read(tmp_path, 1), tmp_path)


def test_unreadable_file(tmp_path, monkeypatch):
    path = save(tmp_path / "a.png", GREY)

    def refuse(*_args, **_options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(path), "open", refuse)
    one_line(lambda: read(path, 1), path, "Permission denied")


def test_same_depth():
    eight, sixteen = GREY[..., None], DEEP[..., None]
    assert images.same_depth([eight])[0] is eight
    mixed = images.same_depth([eight, sixteen])
    assert [image.dtype for image in mixed] == [np.uint16, np.uint16]
    assert mixed[0][..., 0].tolist() == [[0, 12850, 65535], [1799, 32896, 51400]]
    assert mixed[1] is sixteen
