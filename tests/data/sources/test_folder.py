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
    """A ramp that begins with a value."""
    return (value + np.arange(height * width).reshape(height, width)).astype(dtype)


def blank(height, width):
    return np.zeros((height, width), np.uint8)


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "fibres"
    save(root / "train" / "good" / "b.png", grey(10, 12, 7))
    save(root / "train" / "good" / "a.tif", grey(8, 9, 5))
    save(root / "test" / "good" / "g.png", grey(10, 11, 1))
    save(root / "test" / "hole" / "h.png", grey(10, 13, 2))
    save(root / "test" / "hole" / "i.png", grey(10, 13, 3))
    mask = blank(10, 13)
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
    save(root / "test" / "hole" / "deep.png", 1000 * grey(4, 4, 40, np.uint16))
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
    save(path, blank(13, 10))
    one_line(lambda: load(root), path, "10x13", "13x10")


@pytest.mark.parametrize("name", ["hole/z_mask.png", "crack/h_mask.png"])
def test_mask_without_an_image(root, name):
    path = root / "ground_truth" / name
    save(path, blank(10, 13))
    one_line(lambda: load(root), path, "mask without an image")


def test_two_masks_for_one_image(root):
    mask = root / "ground_truth" / "hole" / "h.png"
    save(mask, blank(10, 13))
    one_line(lambda: load(root), mask, mask.with_name("h_mask.png"), "two masks")


def test_one_mask_for_two_images(root):
    save(root / "test" / "hole" / "h.tif", grey(10, 13, 2))
    one_line(lambda: load(root), "h_mask.png", "hole/h.png", "hole/h.tif", "two images")


def test_a_mask_of_a_good_image(root):
    path = root / "ground_truth" / "good" / "g_mask.png"
    save(path, blank(10, 11))
    assert not load(root).masks[0].any()
    marked = blank(10, 11)
    marked[1, 1] = 255
    save(path, marked)
    one_line(lambda: load(root), path, "good image")


def test_masks_that_are_read_and_doubted(root):
    save(root / "ground_truth" / "hole" / "h_mask.png", 255 - blank(10, 13))
    save(root / "ground_truth" / "hole" / "i_mask.png", blank(10, 13))
    inverted, empty = load(root).cautions
    assert inverted.startswith("hole/h.png: ")
    assert "inverted" in inverted
    assert empty.startswith("hole/i.png: ")
    assert "black" in empty


def test_masks_that_are_all_the_same(root):
    mask = root / "ground_truth" / "hole" / "h_mask.png"
    mask.with_name("i_mask.png").write_bytes(mask.read_bytes())
    assert load(root).cautions == ("hole/h.png, hole/i.png: its mask is the same as all others'",)
    mask.unlink()
    assert load(root).cautions == ()  # a single mask is like no other


def test_degenerate_frames_do_not_train(root):
    for name in "cdef":
        save(root / "train" / "good" / f"{name}.png", blank(10, 12))
    save(root / "test" / "good" / "z.png", blank(10, 12))
    source = load(root)
    assert source.train_ids == ["good/a.tif", "good/b.png"]
    assert len(source.train) == 2
    assert "good/z.png" in source.test_ids
    trained, tested = source.cautions
    assert trained.startswith("4 images (good/c.png, good/d.png, good/e.png, ...): left out")
    assert "all pixels are 0" in trained
    assert tested.startswith("good/z.png: ")
    for name in ("a.tif", "b.png"):
        (root / "train" / "good" / name).unlink()
    one_line(lambda: load(root), root / "train" / "good" / "c.png", "all pixels are 0")


def test_what_is_not_read_is_said(root, tmp_path):
    (root / "train" / "good" / "scan.dm3").write_bytes(b"x")
    outside = tmp_path / "outside"
    save(outside / "o.png", grey(10, 12, 9))
    (root / "train" / "good" / "link.png").symlink_to(outside / "o.png")
    (root / "test" / "linked").symlink_to(outside)
    source = load(root)
    assert source.train_ids == ["good/a.tif", "good/b.png"]
    said = "\n".join(source.cautions)
    for part in ("train/good/scan.dm3: ", "train/good/link.png", "test/linked", "follow_links"):
        assert part in said
    followed = load(root, follow_links=True)
    assert followed.train_ids == ["good/a.tif", "good/b.png", "good/link.png"]
    assert "linked/o.png" in followed.test_ids


def test_a_folder_of_links_alone(root, tmp_path):
    good = root / "train" / "good"
    good.rename(tmp_path / "elsewhere")
    good.mkdir()
    (good / "a.tif").symlink_to(tmp_path / "elsewhere" / "a.tif")
    one_line(lambda: load(root), good, "no images", "follow_links")
