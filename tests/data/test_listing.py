"""Every file of a folder is an image, belongs to one, or is skipped with a reason."""

import os

import pytest

from semad.data.images import list_files, list_folders, list_images
from tests.complaints import one_line


def touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def names(listing, root):
    skipped = {p.path.relative_to(root).as_posix(): p.reason for p in listing.skipped}
    return [path.relative_to(root).as_posix() for path in listing.images], skipped


def test_files(tmp_path):
    touch(tmp_path, "b.TIF", "a.png", "c.jpeg", "d.webp", ".hidden.png", "notes.txt", "e.dm3")
    touch(tmp_path, "folder.png/f.png")
    images, skipped = names(list_files(tmp_path, False), tmp_path)
    assert images == ["a.png", "b.TIF", "c.jpeg", "d.webp"]
    assert set(skipped) == {"notes.txt", "e.dm3", "folder.png"}
    assert ".dm3" in skipped["e.dm3"]
    images, skipped = names(list_files(tmp_path, False, recursive=True), tmp_path)
    assert images == ["a.png", "b.TIF", "c.jpeg", "d.webp", "folder.png/f.png"]
    assert set(skipped) == {"notes.txt", "e.dm3"}
    assert list_images(tmp_path) == [tmp_path / name for name in images[:4]]


def test_text_that_belongs_to_an_image(tmp_path):
    touch(tmp_path, "a.tif", "a.txt", "b.png", "b-png.hdr", "c.TIF", "c.TIF.xml", "d.txt", "a.csv")
    images, skipped = names(list_files(tmp_path, False), tmp_path)
    assert images == ["a.tif", "b.png", "c.TIF"]
    assert set(skipped) == {"d.txt", "a.csv"}


def test_links(tmp_path):
    root, outside = tmp_path / "root", tmp_path / "outside"
    touch(root, "a.png", "sub/b.png")
    touch(outside, "c.png", "deep/d.png")
    (root / "broken.png").symlink_to(tmp_path / "no.png")
    (root / "circle.png").symlink_to(root / "circle.png")
    (root / "file.png").symlink_to(outside / "c.png")
    (root / "folder").symlink_to(outside)
    images, skipped = names(list_files(root, False, recursive=True), root)
    assert images == ["a.png", "sub/b.png"]
    assert set(skipped) == {"broken.png", "circle.png", "file.png", "folder"}
    assert skipped["broken.png"] == skipped["circle.png"] == "a link to nothing"
    assert "follow_links" in skipped["file.png"]
    images, skipped = names(list_files(root, True, recursive=True), root)
    assert images == ["a.png", "file.png", "folder/c.png", "folder/deep/d.png", "sub/b.png"]
    assert set(skipped) == {"broken.png", "circle.png"}


def test_nothing_is_listed_twice_and_loops_end(tmp_path):
    root, outside = tmp_path / "root", tmp_path / "outside"
    touch(root, "a.png", "sub/b.png")
    touch(outside, "c.png", "deep/d.png")
    (root / "again.png").symlink_to(root / "a.png")
    (root / "aloft").symlink_to(tmp_path)
    (root / "loop").symlink_to(root)
    (root / "inner").symlink_to(root / "sub")
    (root / "one").symlink_to(outside / "deep")
    (root / "two").symlink_to(outside)
    (root / "zwei").symlink_to(outside)
    (outside / "back").symlink_to(outside)
    images, skipped = names(list_files(root, True, recursive=True), root)
    assert images == ["a.png", "one/d.png", "sub/b.png", "two/c.png"]
    assert set(skipped) == {"again.png", "aloft", "inner", "loop", "two/back", "two/deep", "zwei"}


def test_what_is_no_regular_file(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    assert names(list_files(tmp_path, False), tmp_path) == ([], {"a.png": "no regular file"})


def test_folders(tmp_path):
    touch(tmp_path, "b/x", "a/x", ".c/x", "file")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    folders, skipped = names(list_folders(tmp_path), tmp_path)
    assert folders == ["a", "b"]
    assert set(skipped) == {"file", "link"}
    assert names(list_folders(tmp_path, follow_links=True), tmp_path)[0] == ["a", "b", "link"]


def test_errors(tmp_path, monkeypatch):
    one_line(lambda: list_images(tmp_path), tmp_path, "no images")
    one_line(lambda: list_files(tmp_path / "no", False), tmp_path / "no", "not found")
    (tmp_path / "file").write_text("x")
    one_line(lambda: list_files(tmp_path / "file", False), tmp_path / "file", "not a folder")

    def refuse(*_args, **_options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(tmp_path), "iterdir", refuse)
    one_line(lambda: list_files(tmp_path, False), tmp_path, "Permission denied")


def test_a_subfolder_that_cannot_be_opened(tmp_path, monkeypatch):
    touch(tmp_path, "a.png", "shut/b.png")
    listed = type(tmp_path).iterdir

    def refuse(path):
        if path.name == "shut":
            raise PermissionError(13, "Permission denied")
        return listed(path)

    monkeypatch.setattr(type(tmp_path), "iterdir", refuse)
    images, skipped = names(list_files(tmp_path, False, recursive=True), tmp_path)
    assert images == ["a.png"]
    assert "Permission denied" in skipped["shut"]


@pytest.mark.parametrize("name", ["-png.hdr", "-.hdr", ".txt.hdr", "a-.txt"])
def test_odd_names(tmp_path, name):
    touch(tmp_path, name)
    assert list_files(tmp_path, False, recursive=True).images == []
