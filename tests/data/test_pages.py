"""Stacks are an explicit choice, thumbnails never count, and hostile lists of pages end soon."""

import struct
import time

import numpy as np
import pytest
import tifffile
from PIL import Image

from semad.config.schema import DataSettings
from semad.data import sources
from semad.data.images import Reading, pages_of, read_picture
from tests.complaints import one_line
from tests.data.corpus import noise, pillow, tiff

A, B, C = (noise(8, 1, seed)[..., 0] for seed in range(3))
EACH = Reading(1, pages="each")


def write(path, pages):
    """Pages of (array, options), in order."""
    with tifffile.TiffWriter(path) as file:
        for array, options in pages:
            file.write(array, photometric="minisblack", metadata=None, **options)
    return path


def images(path, reading=EACH):
    return [read_picture(path, reading, page).pixels[..., 0] for page in pages_of(path, reading)]


def frames(form, **options):
    pictures = [Image.fromarray(noise(8, 3, seed)) for seed in range(3)]
    return pillow(pictures[0], form, save_all=True, append_images=pictures[1:], **options)


def test_a_stack_is_refused_unless_its_pages_are_asked_for(tmp_path):
    path = write(tmp_path / "a.tif", [(A, {}), (B, {}), (C, {})])
    choice = "--config.data.pages=each", "=<number>", "3 pages"
    one_line(lambda: pages_of(path, Reading(1)), path, *choice)
    one_line(lambda: read_picture(path, Reading(1)), path, *choice)
    one_line(lambda: read_picture(path, EACH), path, *choice)
    assert pages_of(path, EACH) == [1, 2, 3]
    for found, expected in zip(images(path), (A, B, C), strict=True):
        np.testing.assert_array_equal(found, expected)
    second = Reading(1, pages="2")
    assert pages_of(path, second) == [2]
    np.testing.assert_array_equal(read_picture(path, second).pixels[..., 0], B)


@pytest.mark.parametrize("number", ["0", "4", "-1", "two", "²"])
def test_a_page_that_there_is_not(tmp_path, number):
    path = write(tmp_path / "a.tif", [(A, {}), (B, {}), (C, {})])
    one_line(lambda: pages_of(path, Reading(1, pages=number)), path, number, "1 to 3")
    one_line(lambda: read_picture(path, Reading(1, pages=number)), path, number, "1 to 3")


@pytest.mark.parametrize("pages", ["single", "each", "2"])
def test_a_single_page_is_read_whatever_is_asked_of_stacks(tmp_path, pages):
    path = write(tmp_path / "a.tif", [(A, {})])
    assert pages_of(path, Reading(1, pages=pages)) == [None]
    np.testing.assert_array_equal(read_picture(path, Reading(1, pages=pages)).pixels[..., 0], A)


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize(
    ("small", "options"),
    [(A[:12, :16], {"subfiletype": 1}), (A[:10, :12], {}), (A[:, ::-1].copy(), {"subfiletype": 1})],
    ids=["by its tag", "by its size", "by its tag alone"],
)
def test_thumbnails_never_count(tmp_path, first, small, options):
    pages = [(small, options), (B, {})]
    path = write(tmp_path / "a.tif", pages if first else pages[::-1])
    assert pages_of(path, Reading(1)) == [None]
    picture = read_picture(path, Reading(1))
    np.testing.assert_array_equal(picture.pixels[..., 0], B)
    assert picture.cautions == ()


def test_a_small_page_of_another_shape_is_named(tmp_path):
    path = write(tmp_path / "a.tif", [(A, {}), (B[:10, :4], {})])
    assert "4x10" in read_picture(path, Reading(1)).cautions[0]


def test_the_image_in_a_sub_directory_of_its_thumbnail(tmp_path):
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as file:
        file.write(A[:10, :12], photometric="minisblack", subfiletype=1, subifds=1, metadata=None)
        file.write(B, photometric="minisblack", metadata=None)
    np.testing.assert_array_equal(read_picture(path, Reading(1)).pixels[..., 0], B)


def test_nothing_but_thumbnails(tmp_path):
    path = write(tmp_path / "a.tif", [(A, {"subfiletype": 1})])
    one_line(lambda: read_picture(path, Reading(1)), path, "thumbnails")


@pytest.mark.parametrize("order", ["<", ">"])
def test_images_behind_a_single_directory(tmp_path, order):
    """As ImageJ writes stacks."""
    stack = np.stack([noise(16, 1, seed)[..., 0] for seed in range(3)])
    options = {"metadata": None, "byteorder": order, "photometric": "minisblack"}
    data = tiff(stack[0], description="ImageJ=1.53t\nimages=3\nslices=3\n", **options)
    path = tmp_path / "a.tif"
    path.write_bytes(data + stack[1:].astype(f"{order}u2").tobytes())
    one_line(lambda: pages_of(path, Reading(1)), path, "3 pages")
    np.testing.assert_array_equal(images(path), stack)
    path.write_bytes(data)  # a description that was copied from a stack
    picture = read_picture(path, Reading(1))
    np.testing.assert_array_equal(picture.pixels[..., 0], stack[0])
    assert "counts 3 images, of which it holds 1" in picture.cautions[0]


def test_tifffiles_own_truncated_stacks(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.stack([A, B]), photometric="minisblack", truncate=True)
    np.testing.assert_array_equal(images(path), [A, B])


@pytest.mark.parametrize("form", ["PNG", "WEBP"])
def test_animations_are_stacks(tmp_path, form):
    path = tmp_path / "a"
    path.write_bytes(frames(form, **({"lossless": True} if form == "WEBP" else {})))
    one_line(lambda: read_picture(path, Reading(1)), path, "3 pages")
    reading = Reading(3, pages="each")
    read = [read_picture(path, reading, page).pixels for page in pages_of(path, reading)]
    np.testing.assert_array_equal(read, [noise(8, 3, seed) for seed in range(3)])


def test_further_views_of_a_photograph_are_not(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(frames("MPO"))
    assert pages_of(path, Reading(1)) == [None]
    assert read_picture(path, Reading(1)).pixels.shape == (20, 24, 1)


def test_each_page_trains(tmp_path):
    for folder in ("train/good", "test/hole", "ground_truth/hole"):
        (tmp_path / folder).mkdir(parents=True)
    write(tmp_path / "train/good/s.tif", [(A, {}), (B, {})])
    write(tmp_path / "test/hole/t.tif", [(A, {}), (C, {})])
    mask = np.zeros(A.shape, np.uint8)
    mask[3, 4] = 1
    tifffile.imwrite(tmp_path / "ground_truth/hole/t#2_mask.tif", mask)
    settings = {"name": "folder", "dir": str(tmp_path), "channels": 1, "pages": "each"}
    source = sources.load(DataSettings(settings))
    assert source.train_ids == ["good/s.tif#1", "good/s.tif#2"]
    np.testing.assert_array_equal(source.train[1][..., 0], B)
    assert source.test_ids == ["hole/t.tif#1", "hole/t.tif#2"]
    assert source.masks[0] is None
    assert np.argwhere(source.masks[1]).tolist() == [[3, 4]]


def directory(entries, following):
    body = struct.pack("<H", len(entries))
    for code, kind, count, value in entries:
        body += struct.pack("<HHII", code, kind, count, value)
    return body + struct.pack("<I", following)


def quickly(path, *parts):
    start = time.perf_counter()
    try:
        read_picture(path, Reading(1))
    except Exception:
        one_line(lambda: read_picture(path, Reading(1)), path, *parts)
    assert time.perf_counter() - start < 5


def test_hostile_directories_end_soon(tmp_path):
    path = tmp_path / "a.tif"
    size = [(256, 4, 1, 8), (257, 4, 1, 8)]
    # A cycle of 300 directories: tifffile looks for one at the hundredth page alone.
    length = len(directory(size, 0))
    chain = [directory(size, 8 + length * ((n + 1) % 300)) for n in range(300)]
    path.write_bytes(b"II*\0" + struct.pack("<I", 8) + b"".join(chain))
    quickly(path, "300 pages")
    # A thousand tags, each of which claims the whole file.
    claims = [(65000 + n % 500, 4, 60_000, 8) for n in range(1000)]
    path.write_bytes(b"II*\0" + struct.pack("<I", 8) + directory(claims, 0) + bytes(300_000))
    quickly(path, "claim more data")
    # Sixty million strips of one pixel that are not there.
    strips = [(258, 4, 1, 8), (262, 4, 1, 1), (273, 4, 1, 8), (278, 4, 1, 1), (279, 4, 1, 1)]
    tall = [(256, 4, 1, 1), (257, 4, 1, 60_000_000), *strips]
    path.write_bytes(b"II*\0" + struct.pack("<I", 8) + directory(tall, 0))
    quickly(path, "60000000 strips")
    # A tile of four gigabytes for an image of 8x8 pixels.
    tile = [(322, 4, 1, 65536), (323, 4, 1, 65536), (324, 4, 1, 8), (325, 4, 1, 9)]
    path.write_bytes(b"II*\0" + struct.pack("<I", 8) + directory(size + strips[:2] + tile, 0))
    quickly(path, "bomb")
    # An image depth in words, with which tifffile would count strips.
    words = [(32997, 2, 20, 8), (278, 4, 1, 1)]
    path.write_bytes(
        b"II*\0" + struct.pack("<I", 8) + directory([*size[:1], *tall[1:2], *words], 0)
    )
    quickly(path, "tags are damaged")
    # Thousands of samples per pixel in a layout that there is not.
    samples = [(277, 4, 1, 34_925), (284, 4, 1, 9)]
    path.write_bytes(b"II*\0" + struct.pack("<I", 8) + directory(size + strips[:3] + samples, 0))
    quickly(path, "34925 samples")
    # Overlapping directories, two bytes apart.
    path.write_bytes(b"MM\0*" + struct.pack(">I", 8) + b"\x03\x00" * 100_000)
    quickly(path)


def test_a_broken_chain_is_said(tmp_path):
    path = write(tmp_path / "a.tif", [(A, {})])
    data = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as file:
        page = file.pages[0]
        end = page.offset + 2 + 12 * struct.unpack_from("<H", data, page.offset)[0]
    data[end : end + 4] = struct.pack("<I", 2**31)
    path.write_bytes(data)
    picture = read_picture(path, Reading(1))
    np.testing.assert_array_equal(picture.pixels[..., 0], A)
    assert "list of pages is damaged" in picture.cautions[0]
