"""The folder layout: what is found, in which order, and every mistake a user can make in it."""

import numpy as np
import pytest
from PIL import Image

from semad.config.schema import DataSettings
from semad.data import sources
from tests.complaints import one_line


def save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


def grey(height, width, value=0, dtype=np.uint8):
    return np.full((height, width), value, dtype)


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "fibres"
    save(root / "train" / "good" / "b.png", grey(10, 12, 7))
    save(root / "train" / "good" / "a.tif", grey(8, 9, 5))
    save(root / "test" / "good" / "g.png", grey(10, 11, 1))
    save(root / "test" / "hole" / "h.png", grey(10, 13, 2))
    save(root / "test" / "hole" / "i.png", grey(10, 13, 3))
    mask = grey(10, 13)
    mask[2, 3:5] = 255
    save(root / "ground_truth" / "hole" / "h_mask.png", mask)
    return root


def load(root, **changes):
    return sources.load(
        DataSettings({"name": "folder", "dir": str(root), "channels": 1, **changes})
    )


def test_layout(root):
    source = load(root)
    assert source.name == "folder:fibres"
    assert [image[0, 0, 0] for image in source.train] == [5, 7]
    assert [image.shape for image in source.train] == [(8, 9, 1), (10, 12, 1)]
    assert source.train_ids == ["good/a.tif", "good/b.png"]
    assert source.test_ids == ["good/g.png", "hole/h.png", "hole/i.png"]
    assert source.labels.tolist() == [False, True, True]
    assert source.masks[0].shape == (10, 11)
    assert not source.masks[0].any()
    assert np.argwhere(source.masks[1]).tolist() == [[2, 3], [2, 4]]
    assert source.masks[2] is None
    assert (source.micrographs, source.oriented) == (True, False)


def test_without_a_test_folder(tmp_path):
    save(tmp_path / "train" / "good" / "a.png", grey(4, 4))
    source = load(tmp_path, channels=3)
    assert source.train[0].shape == (4, 4, 3)
    assert (list(source.test), list(source.masks), list(source.test_ids)) == ([], [], [])
    assert source.labels.shape == (0,)
    assert source.labels.dtype == bool


def test_mixed_depths_become_sixteen_bits(root):
    save(root / "test" / "hole" / "deep.png", grey(4, 4, 40000, np.uint16))
    source = load(root)
    assert {image.dtype for image in [*source.train, *source.test]} == {np.dtype(np.uint16)}
    assert source.train[0][0, 0, 0] == 5 * 257
    assert source.test[source.test_ids.index("hole/deep.png")][0, 0, 0] == 40000


def test_missing_and_empty_folders(root, tmp_path):
    one_line(lambda: load(tmp_path / "no"), tmp_path / "no")
    (tmp_path / "train" / "good").mkdir(parents=True)
    one_line(lambda: load(tmp_path), tmp_path / "train" / "good", "no images")
    (root / "test" / "empty").mkdir()
    one_line(lambda: load(root), root / "test" / "empty", "no images")
    one_line(lambda: sources.load(DataSettings({"name": "folder", "dir": ""})), "config.data.dir")


def test_files_in_the_place_of_folders(tmp_path):
    save(tmp_path / "train" / "good" / "a.png", grey(4, 4))
    (tmp_path / "test").write_text("x")
    one_line(lambda: load(tmp_path), tmp_path / "test", "not a folder")


def test_damaged_image(root):
    path = root / "train" / "good" / "c.tif"
    path.write_text("no image")
    one_line(lambda: load(root), path)


def test_mask_of_another_size(root):
    path = root / "ground_truth" / "hole" / "i_mask.png"
    save(path, grey(13, 10))
    one_line(lambda: load(root), path, "10x13", "13x10")


@pytest.mark.parametrize("name", ["hole/z_mask.png", "crack/h_mask.png"])
def test_mask_without_an_image(root, name):
    path = root / "ground_truth" / name
    save(path, grey(10, 13))
    one_line(lambda: load(root), path, "mask without an image")
