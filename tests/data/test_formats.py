"""What a file means hangs neither on its compression, nor on its layout, nor on what wrote it."""

import itertools

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from semad.data.images import Reading, read_picture
from tests.complaints import one_line
from tests.data.corpus import noise, packed_tiff, pillow, tiff

LOSSLESS = (None, "lzw", "zlib", "packbits", "zstd", "lzma")
PILLOW = (None, "tiff_lzw", "tiff_deflate", "packbits", "zstd")
SMOOTH = np.add.outer(np.arange(40), np.arange(32)).astype(np.uint8)


@pytest.fixture
def read(tmp_path):
    def read_bytes(data, channels=1, name="image"):
        path = tmp_path / name
        path.write_bytes(data)
        return read_picture(path, Reading(channels, bit_depth=16)).pixels

    return read_bytes


def ink(cmyk):
    """RGB of inks, by the definition."""
    top = int(np.iinfo(cmyk.dtype).max)
    light = (top - cmyk.astype(np.float64)) / top
    return np.rint(light[..., :3] * light[..., 3:] * top).astype(cmyk.dtype)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("compression", LOSSLESS)
def test_one_picture_in_every_layout(read, bits, compression):
    grey, rgb, cmyk = (noise(bits, samples) for samples in (1, 3, 4))
    top = int(np.iinfo(grey.dtype).max)
    inks = ink(cmyk)
    for order, planar, tile, predictor in itertools.product(
        "<>", ("contig", "separate"), (None, (16, 16)), (False, True)
    ):
        options = {"compression": compression, "byteorder": order, "tile": tile}
        options["predictor"] = predictor and compression in ("lzw", "zlib", "zstd")
        for photometric, values in (("minisblack", grey), ("miniswhite", top - grey)):
            data = tiff(values[..., 0], photometric=photometric, **options)
            np.testing.assert_array_equal(read(data), grey)
        options["planarconfig"] = planar

        def colour(values, options=options, planar=planar, **more):
            array = values if planar == "contig" else np.moveaxis(values, -1, 0)
            return read(tiff(array, **options, **more), 3)

        np.testing.assert_array_equal(colour(rgb, photometric="rgb"), rgb)
        np.testing.assert_array_equal(colour(cmyk, photometric="separated"), inks)
        alpha = {"photometric": "rgb", "extrasamples": ["unassalpha"]}
        np.testing.assert_array_equal(colour(cmyk, **alpha), cmyk[..., :3])


@pytest.mark.parametrize("compression", PILLOW)
def test_what_pillow_writes(read, compression):
    rgb, cmyk = noise(8, 3), noise(8, 4)
    grey = rgb[..., :1]
    options = {"form": "TIFF", "compression": compression}
    np.testing.assert_array_equal(read(pillow(grey[..., 0], **options)), grey)
    np.testing.assert_array_equal(read(pillow(rgb, **options), 3), rgb)
    inks = Image.fromarray(cmyk, "CMYK")
    np.testing.assert_array_equal(read(pillow(inks, **options), 3), ink(cmyk))
    palette = Image.fromarray(rgb).quantize(16)
    np.testing.assert_array_equal(
        read(pillow(palette, **options), 3), np.asarray(palette.convert("RGB"))
    )
    coded = Image.fromarray(rgb).convert("YCbCr")
    difference = read(pillow(coded, **options), 3).astype(int) - np.asarray(coded.convert("RGB"))
    assert np.abs(difference).max() <= 1
    bit = grey > 100
    np.testing.assert_array_equal(read(pillow(bit[..., 0], **options)), bit * np.uint8(255))


@pytest.mark.parametrize("compression", [None, "group3", "group4", "tiff_ccitt", "packbits"])
@pytest.mark.parametrize("white", [0, 1])
def test_one_bit(read, compression, white):
    bit = noise(8, 1)[..., 0] > 100
    data = pillow(bit, "TIFF", compression=compression)
    np.testing.assert_array_equal(read(data)[..., 0], bit * np.uint8(255))
    # The same bits, 0 said to be white.
    packed = packed_tiff(bit.astype(int), 1, photometric=white)
    np.testing.assert_array_equal(read(packed)[..., 0], (bit == white) * np.uint8(255))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("photometric", [0, 1])
@pytest.mark.parametrize("bits", [2, 4, 10, 12, 14])
def test_samples_that_are_no_whole_bytes(read, order, photometric, bits):
    values = noise(bits, 1)[..., 0].astype(int)
    full = 255 if bits < 8 else 65535
    light = values if photometric else 2**bits - 1 - values
    expected = np.rint(light * full / (2**bits - 1))
    np.testing.assert_array_equal(
        read(packed_tiff(values, bits, order, photometric))[..., 0], expected
    )


@pytest.mark.parametrize("compression", ["jpeg", "webp", "png", "jpeg2000"])
def test_image_codecs_within_tiff(read, compression):
    rgb = np.stack([SMOOTH, SMOOTH[::-1], SMOOTH // 2], -1)
    arguments = {"lossless": True} if compression == "webp" else {}
    arguments = {"level": 100} if compression == "jpeg" else arguments
    data = tiff(rgb, photometric="rgb", compression=compression, compressionargs=arguments)
    difference = np.abs(read(data, 3).astype(int) - rgb)
    assert difference.max() <= (4 if compression == "jpeg" else 0)


def test_inks_of_a_jpeg_with_and_without_adobes_marker(read):
    inks = np.zeros((16, 16, 4), np.uint8) + np.array([40, 80, 120, 60], np.uint8)
    expected = ink(inks).astype(int)
    adobe = pillow(Image.fromarray(inks, "CMYK"), "JPEG", quality=100)
    assert b"Adobe" in adobe
    assert np.abs(read(adobe, 3) - expected).max() <= 2
    within = tiff(inks, photometric="separated", compression="jpeg", compressionargs={"level": 100})
    assert np.abs(read(within, 3) - expected).max() <= 2
    plain = imagecodecs.jpeg_encode(inks, level=100)  # without the marker, and not inverted
    assert b"Adobe" not in plain
    assert np.abs(read(plain, 3) - expected).max() <= 2


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_in_every_container(read, orientation):
    # Where the row 0 and the column 0 of the file are, as TIFF 6.0 defines the tag.
    turned = {
        1: SMOOTH,
        2: np.fliplr(SMOOTH),
        3: np.rot90(SMOOTH, 2),
        4: np.flipud(SMOOTH),
        5: SMOOTH.T,
        6: np.rot90(SMOOTH, -1),
        7: np.rot90(SMOOTH, 2).T,
        8: np.rot90(SMOOTH, 1),
    }[orientation]
    exif = Image.Exif()
    exif[274] = orientation
    files = [pillow(SMOOTH, "PNG", exif=exif), pillow(SMOOTH, "TIFF", tiffinfo={274: orientation})]
    files.append(pillow(SMOOTH, "TIFF", tiffinfo={274: orientation}, compression="tiff_lzw"))
    files.append(pillow(SMOOTH, "WEBP", exif=exif, lossless=True))
    for data in files:
        np.testing.assert_array_equal(read(data)[..., 0], turned)
    jpeg = read(pillow(SMOOTH, "JPEG", exif=exif, quality=100))[..., 0].astype(int)
    assert np.abs(jpeg - turned).max() <= 1


@pytest.mark.parametrize("name", ["CIELAB", "ICCLAB", "CFA", "LOGLUV", "LINEAR_RAW", "999"])
def test_what_is_not_understood_is_refused_by_name(tmp_path, name):
    path = tmp_path / "a.tif"
    code = int(name) if name.isdigit() else tifffile.PHOTOMETRIC[name]
    path.write_bytes(packed_tiff(noise(8, 1)[..., 0], 8, photometric=int(code)))
    one_line(lambda: read_picture(path, Reading(1)), path, name, "convert")


def test_other_inks_and_compressions_are_refused(tmp_path):
    path = tmp_path / "a.tif"
    inks = {"photometric": "separated", "extratags": [(332, 3, 1, 2, True)]}
    path.write_bytes(tiff(noise(8, 4), **inks))
    one_line(lambda: read_picture(path, Reading(1)), path, "CMYK")
    path.write_bytes(tiff(noise(8, 1)[..., 0], compression="jpegxl"))
    one_line(lambda: read_picture(path, Reading(1)), path, "JPEGXL", "LZW")


def test_without_a_photometric_tag_zero_is_black(tmp_path):
    path = tmp_path / "a.tif"
    data = packed_tiff(noise(8, 1)[..., 0], 8)
    path.write_bytes(data.replace(b"\x06\x01\x04\0", b"\x0b\x01\x04\0"))
    picture = read_picture(path, Reading(1))
    np.testing.assert_array_equal(picture.pixels, noise(8, 1))
    assert "0 was taken for black" in picture.cautions[0]


def test_further_channels(tmp_path):
    path = tmp_path / "a.tif"
    path.write_bytes(tiff(noise(8, 2), photometric="minisblack", planarconfig="contig"))
    picture = read_picture(path, Reading(1))
    np.testing.assert_array_equal(picture.pixels, noise(8, 2)[..., :1])
    assert picture.cautions == ("its further channel was left out",)
    path.write_bytes(tiff(noise(8, 3), photometric="minisblack", planarconfig="contig"))
    one_line(lambda: read_picture(path, Reading(1)), path, "3 samples per pixel")


def test_strips_that_are_missing(tmp_path):
    path = tmp_path / "a.tif"
    path.write_bytes(packed_tiff(noise(8, 1)[..., 0], 8, t273=0))
    one_line(lambda: read_picture(path, Reading(1)), path, "missing")
    path.write_bytes(packed_tiff(noise(8, 1)[..., 0], 8, t278=1))
    one_line(lambda: read_picture(path, Reading(1)), path, "missing", "20 strips")


@pytest.mark.parametrize("factor", [257, 1])
def test_palettes_of_sixteen_and_of_eight_bits(read, factor):
    indices = noise(8, 1)[..., 0]
    colours = np.stack([np.arange(256), np.arange(256)[::-1], np.full(256, 7)])
    options = {"photometric": "palette", "colormap": (colours * factor).astype(np.uint16)}
    for compression in LOSSLESS:
        read_colours = read(tiff(indices, compression=compression, **options), 3)
        np.testing.assert_array_equal(read_colours, colours.T[indices])


@pytest.mark.parametrize("compression", ["jpeg", "webp", "png", "jpeg2000"])
def test_an_image_within_a_tiff_may_not_be_larger(tmp_path, compression):
    path = tmp_path / "a.tif"
    rgb = np.stack([SMOOTH] * 3, -1)
    path.write_bytes(tiff(rgb, photometric="rgb", compression=compression))
    with tifffile.TiffFile(path, mode="r+") as file:
        file.pages[0].tags[256].overwrite(16)
    one_line(lambda: read_picture(path, Reading(1)), path, "32x40 pixels and not 16x40")


def test_strips_that_share_their_data_a_thousandfold(tmp_path):
    path = tmp_path / "a.tif"
    path.write_bytes(tiff(np.zeros((2000, 8), np.uint8), rowsperstrip=1, compression="zlib"))
    with tifffile.TiffFile(path, mode="r+") as file:
        file.pages[0].tags[273].overwrite([8] * 2000)
        file.pages[0].tags[279].overwrite([path.stat().st_size - 8] * 2000)
    one_line(lambda: read_picture(path, Reading(1)), path, "claim more data")
