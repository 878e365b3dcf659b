"""Checkpoints: only what is as it was written is restored, and what is not is named."""

import random
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from semad.errors import CannotWrite
from semad.run import checkpoints
from semad.run.checkpoints import Checkpoints, NoneSound, restore, steps
from semad.types import TrainState, Weights
from semad.utils.sealed import MANIFEST
from tests.complaints import one_line


def state(step):
    weights = Weights({"net": {"kernel": jnp.full((2, 3), step / 7)}}, {})
    key = jax.random.split(jax.random.key(step), 2)
    return TrainState(jnp.full((2,), step, jnp.int32), weights, {}, weights, key)


LIKE = jax.eval_shape(lambda: state(0))


def is_of(restored, step):
    expected, actual = (
        jax.tree.leaves(each._replace(key=jax.random.key_data(each.key)))
        for each in (state(step), restored)
    )
    return all(np.array_equal(a, b) for a, b in zip(expected, actual, strict=True))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("checkpoints")
    with Checkpoints(workdir) as kept:
        for step in (0, 4, 8):
            kept.save(state(step))
    return workdir


@pytest.fixture
def folder(written, tmp_path):
    shutil.copytree(written / "checkpoints", tmp_path / "checkpoints")
    return tmp_path / "checkpoints"


def files(folder, step):
    return sorted(path for path in (folder / str(step)).rglob("*") if path.is_file())


def test_the_newest_two_stay(folder):
    assert steps(folder) == [8, 4]
    restored = restore(folder, LIKE)
    assert is_of(restored.state, 8)
    assert (restored.step, restored.damaged) == (8, [])


def flip(path, draw):
    content = bytearray(path.read_bytes())
    bit = draw.randrange(8 * len(content))
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


def test_a_bit_that_flips_in_any_file_is_named_and_the_older_one_used(folder, tmp_path):
    draw = random.Random(0)
    for path in files(folder, 8):
        if not path.stat().st_size:
            continue
        content = path.read_bytes()
        flip(path, draw)
        restored = restore(folder, LIKE)
        assert is_of(restored.state, 4), path
        (damaged,) = restored.damaged
        assert damaged.step == 8
        assert path.name in damaged.why
        path.write_bytes(content)
    assert is_of(restore(folder, LIKE).state, 8)


SPOILT = {
    "deleted": lambda path: path.unlink(),
    "emptied": lambda path: path.write_bytes(b""),
    "halved": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "zeroed": lambda path: path.write_bytes(bytes(path.stat().st_size)),
}


@pytest.mark.parametrize("how", SPOILT)
def test_a_file_that_is_spoilt(folder, how):
    for path in files(folder, 8):
        content = path.read_bytes()
        SPOILT[how](path)
        same = path.exists() and path.read_bytes() == content
        without_checks = how == "deleted" and path.name == MANIFEST
        restored = restore(folder, LIKE)
        assert is_of(restored.state, 8 if same or without_checks else 4), path
        path.write_bytes(content)


def test_training_sets_a_damaged_one_aside(folder, caplog):
    for _ in range(2):  # the name may be taken
        flip(files(folder, 8)[-1], random.Random(0))
        with Checkpoints(folder.parent) as kept:
            assert is_of(kept.restore(LIKE), 4)
            assert kept.latest() == 4
            kept.save(state(8))
        assert is_of(restore(folder, LIKE).state, 8)
        assert "the checkpoint of step 8 is damaged (" in caplog.text
    names = {path.name for path in folder.iterdir()}
    assert names == {"4", "8", "damaged-8", "damaged-8.1"}


@pytest.mark.parametrize("spoil", list(SPOILT.values()), ids=list(SPOILT))
def test_without_a_manifest_what_orbax_cannot_read_is_damaged(folder, spoil):
    """As in workdirs of an older semad."""
    for step in (4, 8):
        (folder / str(step) / MANIFEST).unlink()
    assert is_of(restore(folder, LIKE).state, 8)
    shutil.rmtree(folder / "8" / "default" / "ocdbt.process_0")
    spoil(folder / "8" / "default" / "manifest.ocdbt")
    restored = restore(folder, LIKE)
    assert is_of(restored.state, 4)
    assert restored.damaged[0].step == 8


def test_none_is_sound(folder):
    for step in (4, 8):
        shutil.rmtree(folder / str(step))
        (folder / str(step)).mkdir()
    before = sorted(folder.rglob("*"))
    with pytest.raises(NoneSound):
        restore(folder, LIKE)
    with Checkpoints(folder.parent) as kept:
        one_line(lambda: kept.restore(LIKE), folder, "8: ", "4: ", "restore the folder")
    assert sorted(folder.rglob("*")) == before


def test_a_sound_one_of_another_config_is_not_called_damaged(folder):
    like = LIKE._replace(weights=Weights({"other": LIKE.weights.params["net"]}, {}))
    message = one_line(lambda: restore(folder, like), folder / "8", "does not fit")
    assert "as it was written" in message


def test_no_checkpoint(tmp_path):
    one_line(lambda: restore(tmp_path / "none", LIKE), "no checkpoint to restore")
    assert not list(tmp_path.iterdir())


def test_training_removes_checkpoints_while_another_process_reads(folder, monkeypatch):
    """The newest of the moment is taken, and nothing is called damaged."""
    damage = checkpoints.damage

    def training_goes_on(path):
        monkeypatch.setattr(checkpoints, "damage", damage)
        with Checkpoints(folder.parent) as kept:
            kept.save(state(12))
            kept.save(state(16))
        return damage(path)

    monkeypatch.setattr(checkpoints, "damage", training_goes_on)
    restored = restore(folder, LIKE)
    assert is_of(restored.state, 16)
    assert restored.damaged == []


def test_half_removed_ones_are_not_called_damaged(folder, monkeypatch):
    damage = checkpoints.damage

    def training_goes_on(path):
        monkeypatch.setattr(checkpoints, "damage", damage)
        shutil.copytree(folder / "4", folder / "12")
        files(folder, 8)[0].unlink()
        return damage(path)

    monkeypatch.setattr(checkpoints, "damage", training_goes_on)
    assert restore(folder, LIKE).damaged == []


def test_an_older_state_replaces_newer_ones(folder):
    """Of a run that went on from it, such as the best one after a resumption."""
    with Checkpoints(folder.parent) as kept:
        kept.save(state(6))
    assert steps(folder) == [6, 4]
    assert is_of(restore(folder, LIKE).state, 6)


def test_what_orbax_left_half_written_is_removed(folder):
    (folder / "12.orbax-checkpoint-tmp").mkdir()
    (folder / "12.orbax-checkpoint-tmp" / "a").touch()
    with Checkpoints(folder.parent) as kept:
        kept.save(state(12))
    assert {path.name for path in folder.iterdir()} == {"8", "12"}


@pytest.mark.parametrize("what", ["sync_tree", "write_manifest"])
def test_a_full_disk(folder, monkeypatch, what):
    def fail(path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoints, what, fail)
    with Checkpoints(folder.parent) as kept, pytest.raises(CannotWrite, match="step 12 cannot"):
        kept.save(state(12))
