"""The commit in the record is of semad's own clone, or none."""

import shutil
import subprocess
from pathlib import Path

from semad.utils import versions

GIT = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main"]


def clone(root: Path, tracked: bool) -> Path:
    """A repository with a copy of versions.py in it, tracked or not; the copy's path."""
    path = root / "semad" / "utils" / "versions.py"
    path.parent.mkdir(parents=True)
    (root / "readme").write_text("a")
    shutil.copy(versions.__file__, path)
    for command in (["init", "-q"], ["add", "." if tracked else "readme"], ["commit", "-qm", "a"]):
        subprocess.run([*GIT, *command], cwd=root, check=True)
    return path


def commit_of(path: Path, monkeypatch) -> str | None:
    monkeypatch.setattr(versions, "__file__", str(path))
    return versions._commit()


def test_of_a_clone(tmp_path, monkeypatch):
    path = clone(tmp_path, tracked=True)
    head = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout.strip()
    assert commit_of(path, monkeypatch) == head
    path.write_text("# changed")
    assert commit_of(path, monkeypatch) == f"{head}-dirty"


def test_of_an_installed_semad_inside_another_repository(tmp_path, monkeypatch):
    clone(tmp_path, tracked=True)
    path = tmp_path / "venv" / "semad" / "utils" / "versions.py"
    path.parent.mkdir(parents=True)
    shutil.copy(versions.__file__, path)
    assert commit_of(path, monkeypatch) is None


def test_of_a_copy_that_the_repository_does_not_know(tmp_path, monkeypatch):
    assert commit_of(clone(tmp_path, tracked=False), monkeypatch) is None


def test_without_a_repository(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    path = tmp_path / "a" / "semad" / "utils" / "versions.py"
    assert commit_of(path, monkeypatch) is None
