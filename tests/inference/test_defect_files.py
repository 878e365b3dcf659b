"""Defects and maps in other programs' formats, each opened again by a reader that is not ours."""

import base64
import io
import json
import zipfile

import numpy as np
import pytest
import tifffile
from PIL import Image
from skimage.draw import polygon2mask

from semad.errors import UserError
from semad.inference import records
from semad.inference.defect_files import write_defect_files
from semad.inference.inspection import inspect
from semad.inference.outlines import contours
from semad.inference.result_files import _write_map
from semad.scoring.regions import regions

MASK = np.zeros((40, 60), bool)
MASK[5:15, 10:30] = True  # a bar with a hole, whose corner pixel is taken off
MASK[8:12, 18:22] = False
MASK[5, 10] = False
MASK[20, 40] = MASK[21, 41] = MASK[22, 41] = True  # pixels that touch at a corner
MASK[39, 0:3] = True  # at the border


@pytest.fixture
def record():
    values = np.where(MASK, np.linspace(1, 2, 60), 0).astype(np.float32)
    defects = [records.measures(n, r, None) for n, r in enumerate(regions(values, MASK), 1)]
    return {
        **{"file": "sub/a#2.png", "key": "sub/a", "page": None, "verdict": "anomalous"},
        **{"height": 40, "width": 60, "defects": defects},
    }


def filled(outlines):
    """Even-odd, pixels by their centres, as scikit-image rasterises: row and column."""
    whole = np.zeros(MASK.shape, bool)
    for outline in outlines:
        whole ^= polygon2mask(MASK.shape, np.asarray(outline)[:, ::-1] - 0.5)
    return whole


def test_outlines_by_hand():
    (square,) = contours(np.ones((1, 2), bool), 3, 4)
    corners = {(4.5, 3), (5.5, 3), (6, 3.5), (5.5, 4), (4.5, 4), (4, 3.5)}
    assert {tuple(point) for point in square.tolist()} == corners
    outer, hole = contours(MASK[5:15, 10:30], 5, 10)
    assert (outer.min(0).tolist(), outer.max(0).tolist()) == ([10, 5], [30, 15])
    assert (hole.min(0).tolist(), hole.max(0).tolist()) == ([18, 8], [22, 12])


@pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning")  # of pycocotools
def test_coco_s_tools_read_what_is_written(record, tmp_path, capsys):
    coco = pytest.importorskip("pycocotools.coco")
    write_defect_files(tmp_path, [record, record | {"verdict": "skipped"}], "coco", {})
    read = coco.COCO(str(tmp_path / records.COCO))
    (image,) = read.loadImgs(read.getImgIds())
    assert (image["file_name"], image["width"], image["height"]) == ("sub/a#2.png", 60, 40)
    annotations = read.loadAnns(read.getAnnIds(imgIds=[image["id"]]))
    assert [one["score"] for one in annotations] == sorted(
        (d["peak_score"] for d in record["defects"]), reverse=True
    )
    masks = [read.annToMask(one).astype(bool) for one in annotations]
    assert [mask.sum() for mask in masks] == [one["area"] for one in annotations]
    np.testing.assert_array_equal(np.any(masks, axis=0), MASK)
    for mask, one in zip(masks, annotations, strict=True):
        rows, columns = np.nonzero(mask)
        left, top, width, height = one["bbox"]
        assert (columns.min(), rows.min()) == (left, top)
        assert (columns.max() + 1 - left, rows.max() + 1 - top) == (width, height)
    write_defect_files(tmp_path, [record], "none", {})
    assert not (tmp_path / records.COCO).exists()


def test_labelme_s_files(record, tmp_path):
    """By the format that labelme documents: polygons, and masks where there are holes."""
    image = tmp_path / "images" / "a.png"
    write_defect_files(tmp_path / "out", [record], "labelme", {"sub/a#2.png": image})
    path = tmp_path / "out/labelme/sub/a.json"
    content = json.loads(path.read_text())
    assert (path.parent / content["imagePath"]).resolve() == image
    assert (content["imageWidth"], content["imageHeight"]) == (60, 40)
    assert content.keys() >= {"version", "flags", "shapes", "imageData"}
    whole = np.zeros(MASK.shape, bool)
    kinds = []
    for shape in content["shapes"]:
        kinds.append(shape["shape_type"])
        if shape["shape_type"] == "polygon":
            whole |= filled([shape["points"]])
        else:
            (left, top), (right, bottom) = shape["points"]
            with Image.open(io.BytesIO(base64.b64decode(shape["mask"]))) as part:
                whole[top : bottom + 1, left : right + 1] |= np.asarray(part)
    np.testing.assert_array_equal(whole, MASK)
    assert sorted(kinds) == ["mask", "polygon", "polygon"]
    path.write_text("corrected")
    write_defect_files(tmp_path / "out", [record], "coco+labelme", {})
    assert path.read_text() == "corrected"


def test_imagej_s_regions(record, tmp_path):
    roifile = pytest.importorskip("roifile")
    none = record | {"key": "none", "defects": []}
    write_defect_files(tmp_path, [record, none], "imagej", {})
    assert not (tmp_path / "rois/none.zip").exists()
    rois = roifile.roiread(tmp_path / "rois/sub/a.zip")
    assert [roi.name for roi in rois] == ["0001", "0002", "0003"]
    assert sorted(roi.roitype.name for roi in rois) == ["POLYGON", "POLYGON", "RECT"]
    whole = np.zeros(MASK.shape, bool)
    for roi, defect in zip(rois, record["defects"], strict=True):
        whole |= filled(roi.coordinates(multi=True))
        assert (roi.left, roi.top) == (defect["left"], defect["top"])
    np.testing.assert_array_equal(whole, MASK)


def test_without_roifile_it_says_what_to_install(record, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "roifile", None)
    with pytest.raises(UserError, match="pip install roifile"):
        write_defect_files(tmp_path, [record], "imagej", {})


def test_maps_say_the_size_of_a_pixel(tmp_path):
    ome = pytest.importorskip("ome_types")
    values = np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4)
    for nm in (12.5, None):
        path = tmp_path / f"{nm}.tif"
        with path.open("wb") as file:
            _write_map(file, values, nm)
        with tifffile.TiffFile(path) as tif:
            assert tif.is_ome
            described = ome.from_xml(tif.ome_metadata)
            np.testing.assert_array_equal(tif.asarray(), values)
        pixels = described.images[0].pixels
        assert (pixels.size_x, pixels.size_y, pixels.type.value) == (4, 3, "float")
        assert pixels.physical_size_x == pixels.physical_size_y == nm
        assert nm is None or pixels.physical_size_x_unit.value == "nm"
        assert described.uuid.startswith("urn:uuid:")


def test_another_format_scores_nothing_again(inspector, folder, tmp_path, monkeypatch):
    pytest.importorskip("roifile")
    from semad.config.settings import with_values
    from semad.run.system import with_settings

    output = tmp_path / "out"
    inspect(inspector, folder, output)
    assert not (output / "labelme").exists()
    settings = with_values(inspector.settings_, {"score.formats": "coco+labelme+imagej"})
    monkeypatch.setattr(inspector, "system_", with_settings(inspector.system_, settings))
    again = inspect(inspector, folder, output)
    assert again.scored == 4  # those that cannot be read
    found = {record["key"] for record in again.records if record.get("defects")}
    zips = {p.relative_to(output / "rois").as_posix() for p in output.glob("rois/**/*.zip")}
    assert zips == {f"{key}.zip" for key in found}
    assert all(zipfile.is_zipfile(output / "rois" / name) for name in zips)
    assert json.loads((output / "labelme/sub/größe 1.json").read_text())["imagePath"].endswith(
        "in put ä/sub/größe 1.png"
    )
    (folder / "sub/größe 1.png").unlink()
    inspect(inspector, folder, output)
    assert not (output / "labelme/sub").exists()
