"""Makers' tags, written as they write them."""

import numpy as np
import pytest
import tifffile
from PIL import Image

from semad.data.microscope import Microscope, read_tags

IMAGE = np.zeros((60, 80), np.uint8)
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
NOTHING = Microscope()


def tiff(tmp_path, code, text, **options):
    path = tmp_path / "image.tif"
    tag = (code, 2, 0, text, True)
    tifffile.imwrite(path, IMAGE, extratags=[tag] if text else [], **options)
    return path


def fei(width="3.5e-09", height="3.5e-09", rows="50", bar="10"):
    return FEI.format(width=width, height=height, rows=rows, bar=bar)


@pytest.mark.parametrize("code", [34680, 34682])
def test_fei(tmp_path, code):
    found = read_tags(tiff(tmp_path, code, fei()))
    assert found == (pytest.approx(3.5), 50)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"rows": ""}, (pytest.approx(3.5), 50)),  # by the bar's height
        ({"rows": "", "bar": "0"}, (pytest.approx(3.5), None)),
        ({"rows": "999", "bar": ""}, (pytest.approx(3.5), None)),
        ({"width": "nonsense"}, (None, 50)),
        ({"width": "0"}, (None, 50)),
        ({"height": "4e-09"}, (None, 50)),  # no square pixel
    ],
)
def test_fei_in_part(tmp_path, changes, expected):
    assert read_tags(tiff(tmp_path, 34682, fei(**changes))) == expected


@pytest.mark.parametrize(
    ("size", "expected"),
    [("4.5 nm", 4.5), ("1.2 µm", 1200.0), ("30.0 pm", 0.03), ("7 parsec", None), ("", None)],
)
def test_zeiss(tmp_path, size, expected):
    text = f"\r\n0\r\nAP_IMAGE_PIXEL_SIZE\r\nImage Pixel Size = {size}\r\nDP_ZOOM\r\nZoom = Off\r\n"
    found = read_tags(tiff(tmp_path, 34118, text.encode("cp1252")))
    assert found == (expected and pytest.approx(expected), None)


def test_zeiss_pixels_of_the_screen_are_no_scale(tmp_path):
    text = b"\r\n0\r\nAP_PIXEL_SIZE\r\nPixel Size = 10.0 nm\r\nDP_ZOOM\r\nZoom = Off\r\n"
    assert read_tags(tiff(tmp_path, 34118, text)) == NOTHING


def test_fei_scale_in_another_section(tmp_path):
    text = fei().replace("PixelWidth=3.5e-09\nPixelHeight=3.5e-09", "")
    text += "[EScan]\nPixelWidth=2e-09\nPixelHeight=2e-09\n"
    assert read_tags(tiff(tmp_path, 34682, text)).nm_per_pixel == pytest.approx(2)


def test_hitachi(tmp_path):
    path = tiff(tmp_path, 0, "")
    beside = path.with_suffix(".txt")
    beside.write_text("[SemImageFile]\nInstructName=S-4800\nDataSize=80x60\nPixelSize=9.921875\n")
    assert read_tags(path) == (9.921875, None)
    path.with_suffix(".TXT").write_text("[SemImageFile]\nPixelSize=7\n", encoding="utf-16")
    beside.unlink()
    assert read_tags(path) == (7, None)
    for text in ("[SemImageFile]\nPixelSize=\n", "lab notes, no settings", "[Other]\na=1\n"):
        beside.write_text(text)
        assert read_tags(path).nm_per_pixel is None


def test_no_tags_and_no_scale(tmp_path):
    assert read_tags(tiff(tmp_path, 0, "")) == NOTHING
    printed = tiff(tmp_path, 0, "", resolution=(300, 300), resolutionunit="INCH")
    assert read_tags(printed) == NOTHING
    Image.fromarray(IMAGE).save(tmp_path / "a.png")
    (tmp_path / "b.tif").write_text("no image")
    assert read_tags(tmp_path / "a.png") == read_tags(tmp_path / "b.tif") == NOTHING
    assert read_tags(tmp_path / "missing.tif") == NOTHING
