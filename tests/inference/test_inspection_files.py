"""Which files are inspected, and that no two results share a name, on whichever file system."""

import os
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semad.errors import UserError
from semad.inference.image_files import Item, _keys, find, same_file, with_page
from semad.inference.records import RESULTS


def names(inputs):
    return [entry.name for entry in inputs.entries]


def left_out(inputs):
    return {e.name: (e.image, e.reason) for e in inputs.entries if not isinstance(e, Item)}


def test_every_file_is_listed(folder, tmp_path):
    inputs = find(folder, tmp_path / "out")
    assert names(inputs) == sorted(names(inputs))
    assert len(inputs.items) == 8
    assert left_out(inputs).keys() == {"notes.md"}
    assert left_out(inputs)["notes.md"][0] is False
    for inside in (folder / "sub", folder / ".." / folder.name / "sub"):  # however it is spelt
        assert len(find(folder, inside).items) == 7


def test_what_cannot_be_inspected(folder, tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "nothing").mkdir()
    (tmp_path / "nothing/notes.csv").touch()
    for images, output, says in (
        (tmp_path / "nowhere", tmp_path / "out", "not found"),
        (folder / "sub", folder, "write to another folder"),
        (tmp_path / "pipe.png", tmp_path / "out", "neither a file nor a folder"),
        (tmp_path / "nothing", tmp_path / "out", "no images"),
    ):
        with pytest.raises(UserError, match=says):
            find(images, output)


def test_images_that_are_not_read_count(tmp_path):
    for name in ("a.DM3", "b.h5", "c.txt", "d.csv"):
        (tmp_path / name).touch()
    os.mkfifo(tmp_path / "e.png")
    left = left_out(find(tmp_path, tmp_path / "out"))
    assert {name: image for name, (image, _) in left.items()} == {
        "a.DM3": True,
        "b.h5": True,
        "c.txt": False,
        "d.csv": False,
        "e.png": True,
    }


def test_links_are_followed_where_asked_for(tmp_path):
    root, elsewhere = tmp_path / "in", tmp_path / "elsewhere"
    root.mkdir()
    elsewhere.mkdir()
    for path in (root / "a.png", elsewhere / "b.png"):
        path.touch()
    (root / "broken.png").symlink_to(tmp_path / "nothing")
    (root / "file.png").symlink_to(elsewhere / "b.png")
    (root / "folder").symlink_to(elsewhere)
    (root / "loop").symlink_to(root)
    (root / "own.png").symlink_to(root / "a.png")
    inputs = find(root, tmp_path / "out")
    assert [item.name for item in inputs.items] == ["a.png"]
    left = left_out(inputs)
    assert left.keys() == {"broken.png", "file.png", "folder", "loop", "own.png"}
    assert all(image for image, _ in left.values())
    followed = find(root, tmp_path / "out", follow_links=True)
    assert {"a.png", "file.png"} <= {item.name for item in followed.items}
    left = left_out(followed)
    assert left["broken.png"][0]
    assert not left["loop"][0]  # its images have verdicts under their own names
    assert not left["own.png"][0]


def test_a_link_that_is_given_itself_keeps_its_name(tmp_path):
    (tmp_path / "a.png").touch()
    (tmp_path / "b.png").symlink_to(tmp_path / "a.png")
    (item,) = find(tmp_path / "b.png", tmp_path / "out").items
    assert (item.name, item.key, item.path) == ("b.png", "b", (tmp_path / "a.png").resolve())


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["a.png", "a.tif", "a.tif.png", "b.png"], ["a.png", "a.tif", "a.tif.png", "b"]),
        (["a.png", "a.tif/x.png"], ["a.png", "a.tif/x"]),  # maps/a.tif is a folder
        (["a.png", "a.png.JPG/x.png", "a.tif/x.png"], [None, "a.png.JPG/x", "a.tif/x"]),
        (["A.png", "a.png"], [None, None]),
        (["Sub/x.png", "sub/x.png"], [None, None]),
        (["A.png", "a.tif"], ["A.png", "a.tif"]),
        (["\u00e9.png", "e\u0301.png"], [None, None]),
        (["con.png", "x/NUL/y.png"], [None, None]),
        (["a .png", "b..png", "c:d.png", "e\n.png", "=f.png"], [None, None, None, None, "=f"]),
    ],
)
def test_keys_by_hand(files, expected):
    keys, _ = _keys(files)
    for key, wanted in zip(keys, expected, strict=True):
        assert key == wanted or wanted is None
    check_distinct(keys)


NAMES = ("a", "A", "a.tif", "a.PNG", "a.png", "a.json", "\u00e9", "e\u0301", "x ", "con", "a-p1")
PARTS = st.lists(st.sampled_from(NAMES), min_size=1, max_size=3)


@given(st.lists(PARTS, max_size=12), st.sampled_from([".png", ".tif", ".TIF"]))
def test_no_two_results_share_a_name(parts, ending):
    files = sorted({"/".join(part) + ending for part in parts})
    files = [name for name in files if not any(o.startswith(name + "/") for o in files)]
    keys, taken = _keys(files)
    item = Item(None, "a.tif", "a")
    pages = [with_page(item, page, taken).key for page in (1, 2)]
    check_distinct([*keys, *pages])


def check_distinct(keys):
    """On a file system that knows neither case nor Unicode forms, no file has another's place."""
    files = [same_file(name.format(key)) for key in keys for name in (*RESULTS, "records/{}.json")]
    assert len(files) == len(set(files))
    folders = {str(parent) for file in files for parent in PurePosixPath(file).parents}
    assert not folders & set(files)
    for key in keys:
        for part in key.split("/"):
            assert part == part.rstrip(". ")
            assert len(part.encode()) <= 220


def test_names_that_no_file_system_likes():
    long, deep = f"{'ä' * 125}.png", "/".join(["d" * 250] * 12) + "/x.png"
    keys, _ = _keys([long, deep, "bad-\udcff.png", "a" * 300 + "/x.png"])
    check_distinct(keys)
    assert all(len(key.encode()) <= 1500 for key in keys)


def test_a_key_taken_by_what_a_checksum_gives_is_changed_again():
    keys, _ = _keys(["A.png", "a.png"])
    trap = f"{keys[0]}.tif"
    check_distinct(_keys(sorted(["A.png", "a.png", trap]))[0])


def test_a_page_has_a_key_of_its_own():
    keys, taken = _keys(["stack-p3.png", "stack.tif"])
    item = Item(None, "stack.tif", keys[1])
    assert with_page(item, 2, taken) == Item(None, "stack.tif#2", "stack-p2", 2)
    third = with_page(item, 3, taken)
    assert third.name == "stack.tif#3"
    assert third.key.startswith("stack-p3-")
