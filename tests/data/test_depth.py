"""Ten, twelve and fourteen bits in words of sixteen: by tags, by what is given, by values."""

import numpy as np
import pytest

from semad.config.schema import DataSettings
from semad.data import sources
from semad.data.images import Reading, read_picture
from tests.data.corpus import noise, pillow, png_chunk, tiff

TWELVE = noise(12, 1)[..., 0]


def full(values, bits):
    """Of the whole range of sixteen bits, by the definition."""
    return np.rint(values.astype(np.float64) * 65535 / (2**bits - 1))


SCALED = full(TWELVE, 12)[..., None]


@pytest.fixture
def write(tmp_path):
    def write_bytes(data, name="a.tif"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    return write_bytes


@pytest.mark.parametrize("code", [281, 341])
def test_by_the_largest_sample(write, code):
    picture = read_picture(write(tiff(TWELVE, extratags=[(code, 3, 1, 4095, True)])), Reading(1))
    np.testing.assert_array_equal(picture.pixels, SCALED)
    assert (picture.bit_depth, picture.cautions) == (12, ())


def test_a_largest_sample_of_this_image_alone_says_nothing(write):
    picture = read_picture(write(tiff(TWELVE, extratags=[(281, 3, 1, 4093, True)])), Reading(1))
    assert picture.bit_depth == 12
    assert "no tag says" in picture.cautions[0]


def test_by_ome(write):
    data = tiff(TWELVE // 8, ome=True, metadata={"SignificantBits": 12})
    picture = read_picture(write(data), Reading(1))
    np.testing.assert_array_equal(picture.pixels[..., 0], full(TWELVE // 8, 12))
    assert (picture.bit_depth, picture.cautions) == (12, ())


def test_by_pngs_significant_bits(write):
    data = png_chunk(pillow(TWELVE, "PNG"), b"sBIT", b"\x0c")
    picture = read_picture(write(data), Reading(1))
    np.testing.assert_array_equal(picture.pixels, SCALED)
    # As the specification demands: scaled up by the writer.
    data = png_chunk(pillow(TWELVE * 16, "PNG"), b"sBIT", b"\x0c")
    picture = read_picture(write(data), Reading(1))
    np.testing.assert_array_equal(picture.pixels[..., 0], TWELVE * 16)
    assert (picture.bit_depth, picture.cautions) == (16, ())


@pytest.mark.parametrize(
    ("peak", "bits"), [(1, 10), (1023, 10), (1024, 12), (4095, 12), (4096, 14), (16383, 14)]
)
def test_by_values(write, peak, bits):
    values = np.array([[0, peak // 2, peak]], np.uint16)
    picture = read_picture(write(tiff(values)), Reading(1))
    np.testing.assert_array_equal(picture.pixels[..., 0], full(values, bits))
    assert picture.bit_depth == bits
    assert f"need {bits} bits" in picture.cautions[0]


@pytest.mark.parametrize("values", [[0, 16384], [0, 0], [0, 65535]])
def test_no_guess_where_all_bits_are_used_or_none(write, values):
    picture = read_picture(write(tiff(np.array([values], np.uint16))), Reading(1))
    assert picture.pixels[0, :, 0].tolist() == values
    assert (picture.bit_depth, picture.cautions) == (16, ())


def test_white_is_zero_of_the_bits_that_are_used(write):
    data = tiff(4095 - TWELVE, photometric="miniswhite", extratags=[(281, 3, 1, 4095, True)])
    np.testing.assert_array_equal(read_picture(write(data), Reading(1)).pixels, SCALED)


def test_a_given_depth_is_applied(write):
    dark = tiff(TWELVE // 8)
    picture = read_picture(write(dark), Reading(1, bit_depth=12))
    np.testing.assert_array_equal(picture.pixels[..., 0], full(TWELVE // 8, 12))
    assert (picture.bit_depth, picture.cautions) == (12, ())
    picture = read_picture(write(tiff(TWELVE)), Reading(1, bit_depth=10))
    np.testing.assert_array_equal(picture.pixels[..., 0], TWELVE)
    assert picture.bit_depth == 16
    assert "exceed 10 bits" in picture.cautions[0]
    least = tiff(np.array([[0, 1024]], np.uint16))
    assert read_picture(write(least), Reading(1, bit_depth=10)).bit_depth == 16
    tagged = tiff(TWELVE, extratags=[(281, 3, 1, 4095, True)])
    picture = read_picture(write(tagged), Reading(1, bit_depth=14))
    assert picture.bit_depth == 14
    assert "tags say 12" in picture.cautions[0]


def test_eight_bits_are_not_concerned(write):
    picture = read_picture(write(tiff(noise(8, 1)[..., 0])), Reading(1, bit_depth=12))
    assert (picture.bit_depth, picture.pixels.dtype) == (8, np.uint8)


def test_all_training_images_by_one_depth(write, tmp_path):
    write(tiff(TWELVE // 8), "train/good/a.tif")
    write(tiff(TWELVE), "train/good/b.tif")
    write(tiff(noise(8, 1)[..., 0]), "train/good/c.tif")
    write(tiff(TWELVE // 4), "test/good/d.tif")
    write(tiff(TWELVE * 4), "test/good/e.tif")
    source = sources.load(DataSettings({"name": "folder", "dir": str(tmp_path), "channels": 1}))
    np.testing.assert_array_equal(source.train[0][..., 0], full(TWELVE // 8, 12))
    np.testing.assert_array_equal(source.train[1], SCALED)
    np.testing.assert_array_equal(source.train[2], noise(8, 1).astype(int) * 257)
    np.testing.assert_array_equal(source.test[0][..., 0], full(TWELVE // 4, 12))
    np.testing.assert_array_equal(source.test[1][..., 0], TWELVE * 4)
    assert source.bit_depth == 12
    guessed, exceeds = source.cautions
    assert guessed.startswith("good/a.tif, good/b.tif: ")
    assert "need 12 bits" in guessed
    assert exceeds.startswith("good/e.tif: ")
    assert "exceed 12 bits" in exceeds


def test_a_set_depth_holds_for_training(write, tmp_path):
    write(tiff(TWELVE // 8), "train/good/a.tif")
    write(tiff(TWELVE * 4), "train/good/b.tif")
    settings = {"name": "folder", "dir": str(tmp_path), "channels": 1, "bit_depth": 12}
    source = sources.load(DataSettings(settings))
    np.testing.assert_array_equal(source.train[0][..., 0], full(TWELVE // 8, 12))
    np.testing.assert_array_equal(source.train[1][..., 0], TWELVE * 4)
    assert source.bit_depth == 12
    assert [caution.partition(":")[0] for caution in source.cautions] == ["good/b.tif"]


def test_tags_and_values_of_training_images_agree_on_the_larger(write, tmp_path):
    write(tiff(TWELVE // 8, extratags=[(281, 3, 1, 4095, True)]), "train/good/a.tif")
    write(tiff(TWELVE * 4), "train/good/b.tif")
    source = sources.load(DataSettings({"name": "folder", "dir": str(tmp_path), "channels": 1}))
    np.testing.assert_array_equal(source.train[0][..., 0], full(TWELVE // 8, 14))
    np.testing.assert_array_equal(source.train[1][..., 0], full(TWELVE * 4, 14))
    assert source.bit_depth == 14
    tagged, guessed = source.cautions
    assert "tags say 12" in tagged
    assert guessed.startswith("good/b.tif: ")


@pytest.mark.parametrize("value", [0, 65535])
def test_a_frame_without_a_picture_has_no_say(write, tmp_path, value):
    write(tiff(TWELVE), "train/good/a.tif")
    write(tiff(np.full_like(TWELVE, value)), "train/good/b.tif")
    source = sources.load(DataSettings({"name": "folder", "dir": str(tmp_path), "channels": 1}))
    assert source.bit_depth == 12
    (image,) = source.train
    np.testing.assert_array_equal(image, SCALED)
