"""A folder is written to by one process at a time, and the next is told by whom."""

import json
import os
import socket
import subprocess
import sys
import threading

import pytest

from semad.errors import UserError
from semad.utils.locks import folder_lock
from tests.complaints import one_line

HOLD = """
import sys
from pathlib import Path
from semad.utils.locks import folder_lock
with folder_lock(Path(sys.argv[1]), "train"):
    print("locked", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock of `tmp_path/run`."""
    command = [sys.executable, "-c", HOLD, str(tmp_path / "run")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as process:
        assert process.stdout.readline() == "locked\n"
        yield process
        process.kill()


def lock(folder):
    with folder_lock(folder, "evaluate"):
        return sorted(path.name for path in folder.parent.iterdir())


def test_the_second_is_told_who_holds_it(holder, tmp_path):
    before = sorted(path.name for path in tmp_path.iterdir())
    who = f"process {holder.pid} on {socket.gethostname()} (train, since 20"
    message = one_line(lambda: lock(tmp_path / "run"), tmp_path / "run", who)
    assert "give another folder" in message
    assert before == sorted(path.name for path in tmp_path.iterdir())


def test_the_same_folder_by_another_name(holder, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "run")
    one_line(lambda: lock(tmp_path / "link"), f"process {holder.pid}")


def test_a_dead_process_holds_nothing(holder, tmp_path, caplog):
    pid = holder.pid
    holder.kill()
    holder.wait()
    assert (tmp_path / ".run.lock.json").is_file()
    with caplog.at_level("INFO"):
        lock(tmp_path / "run")
    assert f"taken over from process {pid}" in caplog.text
    assert not list(tmp_path.iterdir())


def test_a_damaged_note_of_the_holder(holder, tmp_path):
    for text in ("", "{", "[]", '{"pid": 1}', "\xff"):
        (tmp_path / ".run.lock.json").write_text(text, encoding="latin-1")
        one_line(lambda: lock(tmp_path / "run"), "in use by another process;")


def test_what_lies_there_while_it_is_held(tmp_path):
    assert lock(tmp_path / "run") == [".run.lock", ".run.lock.json"]
    assert not list(tmp_path.iterdir())


def test_the_same_thread_may_lock_it_twice(tmp_path):
    with folder_lock(tmp_path / "run", "train and evaluate"):
        with folder_lock(tmp_path / "run", "train"):
            pass
        about = json.loads((tmp_path / ".run.lock.json").read_text())
        assert (about["pid"], about["what"]) == (os.getpid(), "train and evaluate")
        errors = []

        def other():
            try:
                lock(tmp_path / "run")
            except UserError as error:
                errors.append(str(error))

        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        assert len(errors) == 1
        assert "another thread" in errors[0]
    lock(tmp_path / "run")


def test_where_the_parent_is_read_only_it_lies_inside(tmp_path, monkeypatch):
    folder = tmp_path / "run"
    folder.mkdir()
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path)
    with folder_lock(folder, "evaluate"):
        assert {path.name for path in folder.iterdir()} == {".lock", ".lock.json"}
    assert not list(folder.iterdir())


def test_what_dead_processes_left_half_written_is_removed(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    folder = tmp_path / "run"
    gone = [folder / f".config.json.part-{dead.pid}"]
    gone += [folder / "evaluation" / f".pixel.part-{dead.pid}" / "roc.png"]
    kept = [folder / f".config.json.part-{os.getppid()}", folder / ".hidden.part-x", folder / "a"]
    for path in gone + kept:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    lock(folder)
    assert [path.exists() for path in gone + kept] == [False, False, True, True, True]
    assert not list((folder / "evaluation").iterdir())
