"""Files are written whole or not at all, on the disk, and never through a link."""

import os

import pytest

from semad.errors import CannotWrite
from semad.utils.files import append_line, check_no_link, new_folder, write_bytes, write_text
from tests.complaints import one_line


def test_a_file_is_synced_before_it_takes_its_name(tmp_path, monkeypatch):
    events = []
    fsync, replace = os.fsync, type(tmp_path).replace
    monkeypatch.setattr(os, "fsync", lambda number: events.append("fsync") or fsync(number))

    def renamed(self, target):
        events.append("rename")
        return replace(self, target)

    monkeypatch.setattr(type(tmp_path), "replace", renamed)
    write_text(tmp_path / "a", "text")
    assert events == ["fsync", "rename", "fsync"]
    assert (tmp_path / "a").read_text() == "text"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), OSError(5, "I/O error")])
def test_a_full_disk_leaves_the_older_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "a"
    path.write_text("older")

    def fail(file):
        file.write(b"half")
        raise error

    message = one_line(lambda: write_bytes(path, fail), path, error.strerror)
    assert "check space and access" in message
    assert path.read_text() == "older"
    assert [each.name for each in tmp_path.iterdir()] == ["a"]


def test_a_stop_leaves_nothing_half_written(tmp_path):
    def stopped(file):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_bytes(tmp_path / "a", stopped)
    assert not list(tmp_path.iterdir())


def test_nothing_is_written_through_a_link(tmp_path):
    other = tmp_path / "other"
    other.write_text("untouched")
    link = tmp_path / "folder" / "a"
    link.parent.mkdir()
    link.symlink_to(other)
    one_line(lambda: append_line(link, "line"), link)
    part = link.with_name(f".a.part-{os.getpid()}")
    part.symlink_to(other)
    write_text(link, "text")
    assert other.read_text() == "untouched"
    assert not link.is_symlink()
    (tmp_path / "maps").symlink_to(tmp_path / "folder")
    one_line(lambda: check_no_link(tmp_path / "maps"), tmp_path / "maps", "is a link")
    check_no_link(tmp_path / "folder")


def test_a_line_that_was_cut_short_is_ended(tmp_path):
    path = tmp_path / "log"
    append_line(path, "first")
    path.write_text(path.read_text() + '{"cut')
    append_line(path, "second")
    append_line(path, "third")
    assert path.read_text().splitlines() == ["first", '{"cut', "second", "third"]


def test_a_folder_takes_its_name_when_the_block_ends_well(tmp_path):
    folder = tmp_path / "results"
    for text in ("one", "two", "three"):
        with new_folder(folder) as part:
            (part / "a").write_text(text)
    kept = {path.name: (path / "a").read_text() for path in tmp_path.iterdir()}
    assert kept == {"results": "three", "results.1": "one", "results.2": "two"}

    def fail():
        with new_folder(folder) as part:
            (part / "a").write_text("four")
            raise OSError(28, "No space left on device")

    with pytest.raises(CannotWrite, match=r"results: cannot be written \(No space"):
        fail()
    assert {path.name for path in tmp_path.iterdir()} == kept.keys()
