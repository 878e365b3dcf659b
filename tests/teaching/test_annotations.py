"""Outlines from files, drawn to the pixels that they are around."""

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

from semad.data.files import Reading
from semad.errors import UserError
from semad.scoring.rle import encode
from semad.teaching.annotations import read_annotated

READING = Reading(1)
SQUARE = [[2, 1], [5, 1], [5, 4], [2, 4]]
"""Around columns 2 to 4 and rows 1 to 3, in pixels' edges."""


@pytest.fixture
def folder(tmp_path):
    """An image of 6 rows and 8 columns."""
    Image.fromarray(np.arange(48, dtype=np.uint8).reshape(6, 8)).save(tmp_path / "a.png")
    return tmp_path


def inside(top, bottom, left, right):
    mask = np.zeros((6, 8), bool)
    mask[top:bottom, left:right] = True
    return mask


def labelme(folder, *shapes, name="a.png", **about):
    content = {
        "imagePath": name,
        "imageHeight": 6,
        "imageWidth": 8,
        "shapes": [
            {"label": label, "points": points, "shape_type": kind} for label, points, kind in shapes
        ],
    }
    (folder / "a.json").write_text(json.dumps(content | about))


def coco(folder, *annotations, name="a.png", height=6):
    content = {
        "images": [{"id": 3, "file_name": name, "height": height, "width": 8}],
        "categories": [{"id": 1, "name": "crack"}, {"id": 2, "name": "normal"}],
        "annotations": [
            {"image_id": 3, "category_id": category, "segmentation": segmentation}
            for category, segmentation in annotations
        ],
    }
    (folder / "all.json").write_text(json.dumps(content))


def test_masks_beside_the_image(folder):
    Image.fromarray(inside(0, 2, 0, 3)).save(folder / "a_mask.png")
    Image.fromarray(inside(4, 6, 5, 8)).save(folder / "a_normal.png")
    (read,) = read_annotated(folder, READING)
    assert read.name == "a.png" and read.image.shape == (6, 8, 1)
    np.testing.assert_array_equal(read.defects, inside(0, 2, 0, 3))
    np.testing.assert_array_equal(read.normal, inside(4, 6, 5, 8))


def test_labelme(folder):
    labelme(
        folder,
        ("crack", SQUARE, "polygon"),
        ("Normal", [[6, 0], [8, 2]], "rectangle"),
    )
    (read,) = read_annotated(folder, READING)
    np.testing.assert_array_equal(read.defects, inside(1, 4, 2, 5))
    np.testing.assert_array_equal(read.normal, inside(0, 2, 6, 8))


def test_a_circle_of_labelme(folder):
    labelme(folder, ("bead", [[3, 3], [4.6, 3]], "circle"))
    (read,) = read_annotated(folder, READING)
    rows, columns = np.mgrid[:6, :8] + 0.5
    np.testing.assert_array_equal(read.defects, np.hypot(rows - 3, columns - 3) < 1.6)


def test_coco_as_polygons_and_as_runs(folder):
    runs = {"size": [6, 8], "counts": [4, 2, 42]}  # column by column: the lowest two of the first
    coco(folder, (1, [np.ravel(SQUARE).tolist()]), (2, runs))
    (read,) = read_annotated(folder, READING)
    np.testing.assert_array_equal(read.defects, inside(1, 4, 2, 5))
    np.testing.assert_array_equal(read.normal, inside(4, 6, 0, 1))


def test_images_without_outlines_do_not_count(folder):
    Image.fromarray(np.zeros((6, 8), np.uint8)).save(folder / "b.png")
    labelme(folder, ("crack", SQUARE, "polygon"))
    (folder / "other.json").write_text('{"of": "another program"}')
    assert [read.name for read in read_annotated(folder, READING)] == ["a.png"]


def complaint(folder):
    with pytest.raises(UserError) as raised:
        read_annotated(folder, READING)
    return str(raised.value)


def test_no_outlines_at_all(folder):
    assert "a_mask" not in complaint(folder)
    assert "no outlines; put <image>_mask.png" in complaint(folder)


def test_an_image_of_another_size(folder):
    coco(folder, (1, [np.ravel(SQUARE).tolist()]), height=7)
    assert "a.png is 8×7 pixels there, and 8×6 as a file" in complaint(folder)


def test_an_image_that_is_not_there(folder):
    labelme(folder, ("crack", SQUARE, "polygon"), name="..\\elsewhere\\b.png")
    assert r"outlines an image '..\\elsewhere\\b.png', which is not in" in complaint(folder)


def test_outlines_outside_of_the_image(folder):
    labelme(folder, ("crack", (np.array(SQUARE) + 100).tolist(), "polygon"))
    assert "its outlines are empty, or outside of it" in complaint(folder)


def test_a_defect_that_is_normal(folder):
    labelme(folder, ("crack", SQUARE, "polygon"), ("ok", SQUARE, "polygon"))
    assert "outlined both as a defect and as normal" in complaint(folder)


def test_a_shape_that_is_no_region(folder):
    labelme(folder, ("crack", [[1, 1], [2, 2]], "line"))
    assert "a shape of the type 'line'" in complaint(folder)


def test_masks_with_holes_that_semad_writes(folder):
    """COCO's compressed runs, and a mask of labelme, whose points are its first and last pixel."""
    ring = inside(1, 5, 2, 7) & ~inside(2, 4, 3, 6)
    coco(folder, (1, {"size": [6, 8], "counts": encode(ring[1:5, 2:7], 1, 2, 6, 8)}))
    (read,) = read_annotated(folder, READING)
    np.testing.assert_array_equal(read.defects, ring)
    (folder / "all.json").unlink()
    buffer = io.BytesIO()
    Image.fromarray(ring[1:5, 2:7]).save(buffer, "PNG")
    labelme(folder, ("crack", [[2, 1], [6, 4]], "mask"))
    content = json.loads((folder / "a.json").read_text())
    content["shapes"][0]["mask"] = base64.b64encode(buffer.getvalue()).decode()
    (folder / "a.json").write_text(json.dumps(content))
    (read,) = read_annotated(folder, READING)
    np.testing.assert_array_equal(read.defects, ring)


def test_outlines_away_from_their_images(folder):
    """As `config.score.formats=labelme` writes them: corrected where they are."""
    (folder / "found/labelme/part").mkdir(parents=True)
    labelme(folder, ("crack", SQUARE, "polygon"), name="../../../a.png")
    (folder / "a.json").rename(folder / "found/labelme/part/a.json")
    (read,) = read_annotated(folder / "found/labelme", READING)
    assert read.name == "a.png"
    np.testing.assert_array_equal(read.defects, inside(1, 4, 2, 5))


@pytest.mark.parametrize(
    "content",
    [
        '{"shapes": 3, "imagePath": "a.png"}',
        '{"shapes": [',
        '{"shapes": [{"label": "x", "points": [[1, 2]]}], "imagePath": "a.png"}',
        '{"images": [], "annotations": [{"image_id": 1}]}',
    ],
)
def test_damaged_files(folder, content):
    (folder / "a.json").write_text(content)
    assert "a.json: neither labelme nor COCO" in complaint(folder)
