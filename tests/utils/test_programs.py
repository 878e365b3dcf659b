"""Where compiled programs are kept, and who decides it."""

import jax
import pytest

from semad.utils.programs import LARGEST, keep_programs

NAMES = (
    "jax_compilation_cache_dir",
    "jax_compilation_cache_max_size",
    "jax_enable_compilation_cache",
)


@pytest.fixture
def unset():
    """JAX as a user's process has it, and afterwards as it was."""
    before = {name: jax.config.values[name] for name in NAMES}
    jax.config.update("jax_compilation_cache_dir", None)
    yield
    for name, value in before.items():
        jax.config.update(name, value)


def test_they_are_kept_in_the_cache_folder_of_the_user(unset, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = keep_programs()
    assert folder.is_dir()
    assert folder.parent == tmp_path / "semad" / "programs"
    assert jax.config.values[NAMES[0]] == str(folder)
    assert jax.config.values[NAMES[1]] == LARGEST


def test_a_folder_that_the_user_named_stays(unset, tmp_path):
    jax.config.update("jax_compilation_cache_dir", str(tmp_path))
    assert keep_programs() is None
    assert jax.config.values[NAMES[0]] == str(tmp_path)


def test_nothing_is_kept_where_jax_is_told_so(unset, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    jax.config.update("jax_enable_compilation_cache", False)
    assert keep_programs() is None
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made_is_no_fault(unset, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert keep_programs() is None
    assert jax.config.values[NAMES[0]] is None
