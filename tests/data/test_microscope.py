"""Makers' tags and files, written as they write them."""

import struct

import numpy as np
import pytest
import tifffile
from PIL import Image

from semad.config.schema import DataSettings
from semad.data import scales, sources
from semad.data.images import Reading, read_picture
from semad.data.scales import length_nm
from tests.complaints import one_line

IMAGE = (np.arange(60 * 80).reshape(60, 80) % 251).astype(np.uint8)
FEI = """[User]
Date=01/02/2020
[Scan]
InternalScan=true
PixelWidth={width}
PixelHeight={height}
[Image]
ResolutionX=80
ResolutionY={rows}
[PrivateFei]
DatabarHeight={bar}
"""
SEEN = "its scale is not understood: "


def tiff(tmp_path, code=0, text="", **options):
    path = tmp_path / "image.tif"
    kind = 2 if isinstance(text, str) else 7
    tag = (code, kind, 0, text, True)
    tifffile.imwrite(path, IMAGE, extratags=[tag] if text else [], **options)
    return path


def read(path):
    """The scale, the rows that are left, and the cautions."""
    picture = read_picture(path, Reading(1))
    np.testing.assert_array_equal(picture.pixels[..., 0], IMAGE[: len(picture.pixels)])
    return picture.nm_per_pixel, len(picture.pixels), picture.cautions


def fei(width="3.5e-09", height="3.5e-09", rows="50", bar="10"):
    return FEI.format(width=width, height=height, rows=rows, bar=bar)


@pytest.mark.parametrize("code", [34680, 34682])
def test_fei(tmp_path, code):
    assert read(tiff(tmp_path, code, fei())) == (pytest.approx(3.5), 50, ())


@pytest.mark.parametrize(
    ("changes", "scale", "rows", "seen"),
    [
        ({"rows": ""}, 3.5, 50, ""),  # by the bar's height
        ({"rows": "", "bar": "0"}, 3.5, 60, ""),
        ({"rows": "999", "bar": ""}, 3.5, 60, ""),
        ({"width": "3,5e-09", "height": "3,5e-09"}, 3.5, 50, ""),
        ({"width": "nonsense"}, None, 50, "nonsense"),
        ({"width": "0"}, None, 50, "PixelWidth=0"),
        ({"height": "4e-09"}, None, 50, "not square"),
    ],
)
def test_fei_in_part(tmp_path, changes, scale, rows, seen):
    found = read(tiff(tmp_path, 34682, fei(**changes)))
    assert found[:2] == (scale and pytest.approx(scale), rows)
    assert len(found[2]) == bool(seen)
    assert not seen or (found[2][0].startswith(SEEN) and seen in found[2][0])


def test_fei_scale_in_another_section(tmp_path):
    text = fei().replace("PixelWidth=3.5e-09\nPixelHeight=3.5e-09", "")
    text += "[EScan]\nPixelWidth=2e-09\nPixelHeight=2e-09\n"
    assert read(tiff(tmp_path, 34682, text))[0] == pytest.approx(2)


def test_thermo_phenom(tmp_path):
    text = (
        '<?xml version="1.0"?><FeiImage><databarHeight>10</databarHeight>'
        '<pixelWidth unit="nm">7.25</pixelWidth><pixelHeight unit="nm">7.25</pixelHeight>'
        "</FeiImage>"
    )
    assert read(tiff(tmp_path, 34683, text)) == (7.25, 50, ())


@pytest.mark.parametrize(
    ("size", "expected"),
    [("4.5 nm", 4.5), ("4,5 nm", 4.5), ("1.2 µm", 1200), ("30.0 pm", 0.03), ("7 parsec", None)],
)
def test_zeiss(tmp_path, size, expected):
    text = f"\r\n0\r\nAP_IMAGE_PIXEL_SIZE\r\nImage Pixel Size = {size}\r\nDP_ZOOM\r\nZoom = Off\r\n"
    scale, rows, cautions = read(tiff(tmp_path, 34118, text.encode("cp1252")))
    assert (scale, rows) == (expected and pytest.approx(expected), 60)
    assert (SEEN in "".join(cautions)) == (expected is None)


def test_zeiss_pixels_of_the_screen_are_no_scale(tmp_path):
    text = b"\r\n0\r\nAP_PIXEL_SIZE\r\nPixel Size = 10.0 nm\r\nDP_ZOOM\r\nZoom = Off\r\n"
    scale, _, cautions = read(tiff(tmp_path, 34118, text))
    assert scale is None
    assert "Pixel Size = 10.0 nm" in cautions[0]


@pytest.mark.parametrize("encoding", ["ascii", "utf-8-sig", "utf-16", "utf-16-le"])
@pytest.mark.parametrize("value", ["9.921875", "9,921875", "9.921875 nm"])
def test_hitachi(tmp_path, encoding, value):
    path = tiff(tmp_path)
    text = f"[SemImageFile]\r\nInstructName=S-4800\r\nDataSize=80x60\r\nPixelSize={value}\r\n"
    path.with_suffix(".txt").write_bytes(text.encode(encoding))
    assert read(path) == (9.921875, 60, ())
    path.with_suffix(".txt").rename(path.with_suffix(".TXT"))
    assert read(path)[0] == 9.921875


def test_hitachi_not_understood(tmp_path):
    path = tiff(tmp_path)
    path.with_suffix(".txt").write_text("[SemImageFile]\nPixelSize=broad\n")
    scale, _, cautions = read(path)
    assert scale is None
    assert cautions == (f"{SEEN}Hitachi: PixelSize=broad",)


def jeol(bar="100", marker="1um", size="80 50"):
    return (
        f"$SEM_DATA_VERSION 1\n$CM_MAG 1000\n$CM_FULL_SIZE {size}\n"
        f"$$SM_MICRON_BAR {bar}\n$$SM_MICRON_MARKER {marker}\n"
    )


@pytest.mark.parametrize(
    ("changes", "scale", "rows"),
    [
        ({}, 10, 50),
        ({"marker": "500nm", "bar": "125"}, 4, 50),
        ({"marker": "0,5µm", "bar": "125"}, 4, 50),
        ({"size": "80 60"}, 10, 60),
        ({"size": "1280 960"}, None, 60),  # the bar is as long as in another image
        ({"bar": "0"}, None, 50),
        ({"marker": "long"}, None, 50),
    ],
)
def test_jeol(tmp_path, changes, scale, rows):
    path = tiff(tmp_path)
    path.with_suffix(".txt").write_text(jeol(**changes))
    found = read(path)
    assert found[:2] == (scale and pytest.approx(scale), rows)
    assert (SEEN + "JEOL" in "".join(found[2])) == (scale is None)


TESCAN = "[MAIN]\nDevice=MIRA3\nImageStripSize=10\nPixelSizeX={0}\nPixelSizeY={1}\n[SEM]\n"


@pytest.mark.parametrize("name", ["image.hdr", "image-tif.hdr", "image.HDR", "tag"])
def test_tescan(tmp_path, name):
    text = TESCAN.format("1.25e-8", "1,25e-8")
    if name == "tag":
        path = tiff(tmp_path, 50431, b"\x00\x01\x07" + text.encode())
    else:
        path = tiff(tmp_path)
        (tmp_path / name).write_text(text)
    assert read(path) == (pytest.approx(12.5), 50, ())


@pytest.mark.parametrize("sides", [("1e-8", "2e-8"), ("wide", "wide")])
def test_tescan_not_understood(tmp_path, sides):
    path = tiff(tmp_path, 50431, TESCAN.format(*sides).encode())
    scale, rows, cautions = read(path)
    assert (scale, rows) == (None, 50)
    assert SEEN + "TESCAN" in cautions[0]


@pytest.mark.parametrize(
    ("unit", "expected"),
    [("micron", 200), ("µm", 200), ("\\u00B5m", 200), ("um", 200), ("nm", 0.2), ("mm", 2e5)],
)
def test_imagej(tmp_path, unit, expected):
    text = f"ImageJ=1.53t\nunit={unit}\nmin=0.0\nmax=255.0\n"
    options = {"description": text.encode(), "metadata": None, "resolutionunit": "NONE"}
    path = tiff(tmp_path, resolution=(5, 5), **options)
    assert read(path) == (pytest.approx(expected), 60, ())
    path = tiff(tmp_path, resolution=(5, 4), **options)
    assert "not square" in read(path)[2][0]


@pytest.mark.parametrize(("unit", "says"), [("furlong", "furlong"), ("pixel", ""), ("inch", "")])
def test_other_units_of_imagej(tmp_path, unit, says):
    options = {"description": f"ImageJ=1.53t\nunit={unit}\n", "metadata": None}
    scale, _, cautions = read(tiff(tmp_path, resolution=(5, 5), **options))
    assert scale is None
    assert len(cautions) == bool(says)
    assert says in "".join(cautions)


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ({"PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}, 500),
        ({"PhysicalSizeX": 4, "PhysicalSizeXUnit": "nm"}, 4),
        ({"PhysicalSizeX": 2, "PhysicalSizeXUnit": "Å"}, 0.2),
        ({"PhysicalSizeX": 2, "PhysicalSizeXUnit": "reference frame"}, None),
        ({"PhysicalSizeX": 2, "PhysicalSizeY": 3}, None),
    ],
)
def test_ome(tmp_path, sizes, expected):
    scale, _, cautions = read(tiff(tmp_path, ome=True, metadata=sizes))
    assert scale == (expected and pytest.approx(expected))
    assert (SEEN + "OME" in "".join(cautions)) == (expected is None)


def test_no_tags_and_no_scale(tmp_path):
    assert read(tiff(tmp_path)) == (None, 60, ())
    assert read(tiff(tmp_path, resolution=(300, 300), resolutionunit="INCH")) == (None, 60, ())
    Image.fromarray(IMAGE).save(tmp_path / "a.png", dpi=(300, 300))
    assert read(tmp_path / "a.png") == (None, 60, ())


def test_notes_beside_an_image(tmp_path):
    path = tiff(tmp_path)
    path.with_suffix(".txt").write_text("lab notes, no settings")
    assert read(path) == (None, 60, ())
    path.with_suffix(".txt").write_text("Pixel size: three nanometres")
    assert read(path)[2] == (f"{SEEN}Pixel size in .txt beside it",)


def test_damaged_tags_do_not_lose_the_image(tmp_path, monkeypatch):
    def fail(*_args):
        raise struct.error("unpack requires a buffer of 8 bytes")

    monkeypatch.setattr(scales, "fei", fail)
    assert read(tiff(tmp_path, 34682, fei())) == (None, 60, (f"{SEEN}damaged tags",))


def test_numbers_of_thousands_of_digits(tmp_path):
    path = tiff(tmp_path)
    path.with_suffix(".txt").write_text(jeol(size="9" * 5000 + " 5", bar="9" * 5000))
    _, rows, cautions = read(path)
    assert rows == 60
    assert f"JEOL: SM_MICRON_BAR {'9' * 20}, SM_MICRON_MARKER 1um" in cautions[0]


def test_tags_of_other_makers_are_named(tmp_path):
    assert read(tiff(tmp_path, 65009, "1"))[2] == (f"{SEEN}tags of Gatan",)


def test_other_containers_have_text_files_too(tmp_path):
    Image.fromarray(IMAGE).save(tmp_path / "a.png")
    (tmp_path / "a-png.hdr").write_text(TESCAN.format("2e-9", "2e-9"))
    assert read(tmp_path / "a.png") == (pytest.approx(2), 50, ())


@pytest.mark.parametrize(
    ("text", "unit", "expected"),
    [
        ("1 m", "", 1e9),
        ("1,5", "nm", 1.5),
        ("3 μm", "", 3000),
        ("-1 nm", "", None),
        ("1 nm nm", "", None),
        ("inf", "nm", None),
        ("", "nm", None),
        ("1e300", "m", 1e309),
    ],
)
def test_lengths(text, unit, expected):
    expected = None if expected == float("inf") else expected
    assert length_nm(text, unit) == (expected and pytest.approx(expected))


@pytest.mark.parametrize(("wanted", "rows"), [(0, 60), (7, 53), (59, 1), (-1, 50)])
def test_the_data_bar(tmp_path, wanted, rows):
    path = tiff(tmp_path, 34682, fei())
    pixels = read_picture(path, Reading(1, data_bar=wanted)).pixels
    np.testing.assert_array_equal(pixels[..., 0], IMAGE[:rows])


def test_a_data_bar_as_high_as_the_image(tmp_path):
    path = tiff(tmp_path)
    one_line(lambda: read_picture(path, Reading(1, data_bar=60)), path, "60 rows", "data_bar")


def test_a_tagged_bar_of_a_turned_image_stays_with_a_caution(tmp_path):
    path = tmp_path / "a.tif"
    tags = [(34682, 2, 0, fei(), True), (274, 3, 1, 3, True)]
    tifffile.imwrite(path, IMAGE, extratags=tags)
    picture = read_picture(path, Reading(1))
    np.testing.assert_array_equal(picture.pixels[..., 0], IMAGE[::-1, ::-1])
    assert "10 rows was not cut" in picture.cautions[0]


def test_no_data_bar_reaches_training_or_the_test(tmp_path):
    for folder in ("train/good", "test/hole", "ground_truth/hole"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "made").mkdir()
    data = tiff(tmp_path / "made", 34682, fei()).read_bytes()
    for name in ("train/good/a.tif", "test/hole/b.tif", "test/hole/c.tif"):
        (tmp_path / name).write_bytes(data)
    mask = np.zeros((60, 80), np.uint8)
    mask[49, 5] = mask[55, 5] = 255  # the second within the bar
    Image.fromarray(mask).save(tmp_path / "ground_truth/hole/b_mask.png")
    Image.fromarray(mask[:50]).save(tmp_path / "ground_truth/hole/c_mask.png")
    settings = {"name": "folder", "dir": str(tmp_path), "channels": 1}
    source = sources.load(DataSettings(settings))
    for image in (*source.train, *source.test):
        np.testing.assert_array_equal(image[..., 0], IMAGE[:50])
    for drawn in source.masks:
        assert np.argwhere(drawn).tolist() == [[49, 5]]
    kept = sources.load(DataSettings(settings | {"data_bar": 10}))
    np.testing.assert_array_equal(kept.train[0], source.train[0])
    message = "80x50 pixels but its image is 80x60"
    one_line(lambda: sources.load(DataSettings(settings | {"data_bar": 0})), "c_mask.png", message)
