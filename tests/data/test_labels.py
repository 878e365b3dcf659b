"""Masks are read exactly or refused."""

import numpy as np
import pytest
from PIL import Image

from semad.data.images import read_mask
from semad.data.labels import implausible
from tests.complaints import one_line
from tests.data.corpus import packed_tiff, pillow, tiff

MARKED = np.array([[0, 0, 1], [0, 1, 1]], bool)


@pytest.fixture
def write(tmp_path):
    def write_bytes(data):
        path = tmp_path / "a_mask.png"
        path.write_bytes(data)
        return path

    return write_bytes


@pytest.mark.parametrize("value", [1, 2, 128, 255])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_black_and_another_value(write, value, dtype):
    values = (MARKED * value).astype(dtype)
    for data in (pillow(values, "PNG"), tiff(values), tiff(values, compression="zlib")):
        mask = read_mask(write(data), (2, 3))
        assert mask.dtype == bool
        np.testing.assert_array_equal(mask, MARKED)


@pytest.mark.parametrize("form", ["PNG", "TIFF", "BMP"])
def test_one_bit(write, form):
    np.testing.assert_array_equal(read_mask(write(pillow(MARKED, form)), (2, 3)), MARKED)


@pytest.mark.parametrize("photometric", [0, 1])
def test_one_bit_of_which_either_is_white(write, photometric):
    bits = MARKED if photometric else ~MARKED
    path = write(packed_tiff(bits.astype(int), 1, photometric=photometric))
    np.testing.assert_array_equal(read_mask(path, (2, 3)), MARKED)


def test_one_colour_on_black(write):
    colour = MARKED[..., None] * np.array([0, 1, 0], np.uint8)
    np.testing.assert_array_equal(read_mask(write(pillow(colour, "PNG")), (2, 3)), MARKED)
    palette = Image.fromarray(MARKED.astype(np.uint8), "P")
    palette.putpalette([0, 0, 0, 128, 0, 0])
    np.testing.assert_array_equal(read_mask(write(pillow(palette, "PNG")), (2, 3)), MARKED)


def test_turned_like_its_image(write):
    exif = Image.Exif()
    exif[274] = 6
    path = write(pillow(MARKED.astype(np.uint8), "PNG", exif=exif))
    np.testing.assert_array_equal(read_mask(path, (3, 2)), np.rot90(MARKED, -1))


@pytest.mark.parametrize("value", [0, 255])
def test_a_single_value(write, value):
    path = write(pillow(np.full((2, 3), value, np.uint8), "PNG"))
    assert (read_mask(path, (2, 3)) == bool(value)).all()


@pytest.mark.parametrize(
    "values",
    [
        [[0, 128, 255]],
        [[100, 255, 255]],
        [[[0, 0, 0], [255, 0, 0], [0, 255, 0]]],
        [[[0, 0, 0], [255, 0, 0], [254, 0, 0]]],
    ],
    ids=["three", "neither black", "two colours", "nearly one colour"],
)
def test_other_values_are_refused(write, values):
    path = write(pillow(np.array(values, np.uint8), "PNG"))
    one_line(lambda: read_mask(path, (1, 3)), path, "save it with two")


def test_compression_that_loses_is_noticed(write):
    disc = np.hypot(*np.mgrid[-16:16, -16:16]) < 9
    path = write(pillow(disc * np.uint8(255), "JPEG", quality=80))
    one_line(lambda: read_mask(path, (32, 32)), path, "JPEG")


def test_a_mask_in_the_alpha_channel_is_refused(write):
    alpha = MARKED * np.uint8(255)
    for colour in (np.zeros((2, 3), np.uint8), np.full((2, 3), 255, np.uint8)):
        rgba = np.stack([colour, colour, colour, alpha], -1)
        for data in (pillow(rgba, "PNG"), tiff(rgba, photometric="rgb", compression="zlib")):
            path = write(data)
            one_line(lambda path=path: read_mask(path, (2, 3)), path, "alpha")
    opaque = np.stack([alpha, alpha, alpha, np.full((2, 3), 255, np.uint8)], -1)
    np.testing.assert_array_equal(read_mask(write(pillow(opaque, "PNG")), (2, 3)), MARKED)


def test_sizes(write):
    path = write(pillow(MARKED.astype(np.uint8), "PNG"))
    one_line(lambda: read_mask(path, (3, 2)), path, "3x2", "2x3")
    one_line(lambda: read_mask(path, (1, 3)), path, "3x2", "3x1")
    np.testing.assert_array_equal(read_mask(path, (1, 3), rows=2), MARKED[:1])


def test_stacks_and_damaged_files_are_refused(write):
    path = write(tiff(np.zeros((2, 2, 3), np.uint8), photometric="minisblack"))
    one_line(lambda: read_mask(path, (2, 3)), path, "2 pages")
    one_line(lambda: read_mask(write(b"x"), (2, 3)), path, "cannot read mask")


def test_a_large_mask_may_shrink_as_much_as_it_likes(write):
    """Ten megabytes in ten kilobytes are no bomb where the image is as large."""
    mask = np.zeros((9000, 8000), np.uint8)
    mask[5, 7] = 255
    data = tiff(mask, compression="zlib")
    assert mask.nbytes > 200 * len(data)
    read = read_mask(write(data), mask.shape)
    assert np.argwhere(read).tolist() == [[5, 7]]


def test_doubts():
    half, more, none = (np.arange(10).reshape(2, 5) < limit for limit in (5, 6, 0))
    assert implausible([half, None], [True, True], ["a", "b"]) == []
    assert "inverted" in implausible([more], [True], ["a"])[0][1]
    assert implausible([none], [False], ["a"]) == []
    assert "black" in implausible([none], [True], ["a"])[0][1]
    same = implausible([half, half, none], [True, True, False], ["a", "b", "c"])
    assert [name for name, _ in same] == ["a", "b"]
    assert implausible([half, ~half], [True, True], ["a", "b"]) == []
