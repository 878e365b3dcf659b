"""What processes tell each other; tests/training/test_together.py has two of them."""

import subprocess
import sys

import jax
import numpy as np
import pytest

from semad.errors import UserError
from semad.utils import collective, hosts, joining
from semad.utils.files import append_line, new_folder, write_text
from semad.utils.locks import folder_lock


@pytest.fixture
def second():
    """This process, as the second of two."""
    hosts.set_place(1, 2)
    yield
    hosts.set_place(0, 1)


def test_a_process_alone_is_answered_with_what_it_gives():
    vote = collective.Vote()
    assert vote(True, False) == (True, False)
    assert vote(False, False) == (False, False)
    assert collective.agree(True)
    assert collective.from_first(value := {"a": (1,)}) is value
    block = {"a": np.arange(3)}
    assert collective.gather(block)[0] is block
    blocks = [{"a": np.arange(n)} for n in range(3)]
    assert all(a is b for a, b in zip(collective.in_turn(blocks, 3), blocks, strict=True))
    assert hosts.turns(blocks) is blocks
    array = jax.device_put(block["a"], jax.local_devices()[0])
    assert collective.local(array).unsafe_buffer_pointer() == array.unsafe_buffer_pointer()
    assert collective.devices() == jax.local_devices()
    with pytest.raises(KeyError), joining.together():
        raise KeyError


def test_turns_are_every_second_item(second):
    assert hosts.turns(range(5)) == range(1, 5, 2)
    assert hosts.turns(range(1)) == range(1, 1, 2)


def test_others_than_the_first_write_nothing(second, tmp_path):
    write_text(tmp_path / "a", "text")
    append_line(tmp_path / "a", "line")
    with new_folder(tmp_path / "folder") as aside, folder_lock(tmp_path, "test"):
        (aside / "b").touch()
    assert not list(tmp_path.parent.glob(f".{tmp_path.name}*"))
    assert not list(tmp_path.iterdir())
    assert not aside.exists()


def test_the_blocks_of_all_come_in_their_order(second, monkeypatch):
    """Of five blocks the second process makes two, and none in the last round."""
    others = iter([{"a": np.array(0)}, {"a": np.array(2)}, {"a": np.array(4)}])
    monkeypatch.setattr(collective, "gather", lambda block: [next(others), block])
    mine = [{"a": np.array(n)} for n in hosts.turns(range(5))]
    assert [int(block["a"]) for block in collective.in_turn(mine, 5)] == [0, 1, 2, 3, 4]


def test_arrays_come_back_as_they_were(second, monkeypatch):
    monkeypatch.setattr(collective, "_all_bytes", lambda content: [b"", content][1:] * 2)
    block = {"score/a": np.float32([[0.1, np.nan]]), "shown/3": np.zeros((0, 2), np.uint8)}
    for received in collective.gather(block):
        assert received.keys() == block.keys()
        for name, values in block.items():
            np.testing.assert_array_equal(received[name], values)
            assert received[name].dtype == values.dtype


def test_what_differs_is_named(second, monkeypatch):
    parts = [b'{"a": 1, "b": 2}', b'{"a": 1, "b": 3}']
    monkeypatch.setattr(collective, "_all_bytes", lambda content: parts)
    with pytest.raises(UserError, match="process 1 has b = 3, and process 0 2"):
        collective.check_same({})


def test_a_process_that_nobody_joins_says_so():
    code = "from semad.utils.joining import join; join('127.0.0.1:1', 2, 1, patience=1)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("semad: waited 1 s at 127.0.0.1:1 for all")
