"""The reader for napari, which need not be there."""

from pathlib import Path

import numpy as np
import tifffile
import yaml
from PIL import Image

import semad.inference.napari_reader as napari_reader
from semad.inference.inspection import inspect


def test_the_layers_of_an_image(inspector, folder, tmp_path):
    output = tmp_path / "out"
    found = {one["file"]: one for one in inspect(inspector, folder, output).records}
    path = str(output / "maps/sub/größe 1.tif")
    assert napari_reader.reader([path]) is napari_reader.layers
    opened = {
        attributes["name"]: (data, kind) for data, attributes, kind in napari_reader.layers(path)
    }
    assert [kind for _, kind in opened.values()] == ["image", "image", "labels", "shapes"]
    with Image.open(folder / "sub/größe 1.png") as image:
        np.testing.assert_array_equal(opened["image"][0], np.asarray(image))
    np.testing.assert_array_equal(opened["map"][0], tifffile.imread(path))
    areas = [defect["area_pixels"] for defect in found["sub/größe 1.png"]["defects"]]
    assert opened["defects"][0].sum() == sum(areas)
    assert len(opened["boxes"][0]) == len(areas)
    assert {attributes["scale"] for _, attributes, _ in napari_reader.layers(path)} == {(20, 20)}
    (folder / "sub/größe 1.png").unlink()
    assert len(napari_reader.layers(path)) == 3


def test_other_files_are_left_to_others(tmp_path):
    (tmp_path / "a.tif").touch()
    assert napari_reader.reader(str(tmp_path / "a.tif")) is None


def test_the_manifest_names_the_reader():
    path = Path(napari_reader.__file__).with_name("napari.yaml")
    (command,) = yaml.safe_load(path.read_text())["contributions"]["commands"]
    assert command["python_name"] == "semad.inference.napari_reader:reader"
    assert path.read_text().count(command["id"]) == 2
