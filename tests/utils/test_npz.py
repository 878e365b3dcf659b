"""Of arrays in a file every bit counts, or changes nothing."""

import numpy as np
import pytest

from semad.utils.arrays import read_arrays, write_arrays
from tests.complaints import one_line

ARRAYS = {
    "image_0": np.arange(12, dtype=np.uint8).reshape(3, 4, 1),
    "score/l1": np.array([1.5, np.nan], np.float32),
    "part": np.array(0.25),
}


@pytest.mark.parametrize("compress", [True, False])
def test_every_single_bit(tmp_path, compress):
    path = tmp_path / "arrays.npz"
    write_arrays(path, ARRAYS, compress)
    content, named = path.read_bytes(), 0
    for bit in range(0, 8 * len(content), 3):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        try:
            arrays = read_arrays(path)
        except Exception as error:
            assert str(error).startswith(f"{path}: damaged (")
            named += 1
            continue
        assert arrays.keys() == ARRAYS.keys()
        for name, values in ARRAYS.items():
            np.testing.assert_array_equal(arrays[name], values)
    assert named > 0.5 * 8 * len(content) / 3


def test_what_numpy_wrote(tmp_path):
    """As in older workdirs."""
    np.savez_compressed(tmp_path / "old.npz", **ARRAYS)
    assert read_arrays(tmp_path / "old.npz").keys() == ARRAYS.keys()
    write_arrays(tmp_path / "new.npz", ARRAYS)
    with np.load(tmp_path / "new.npz", allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["score/l1"], ARRAYS["score/l1"])


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"text"])
def test_what_is_no_archive(tmp_path, content):
    path = tmp_path / "arrays.npz"
    one_line(lambda: read_arrays(path), path, "damaged")
    path.write_bytes(content)
    one_line(lambda: read_arrays(path), path, "damaged")


def test_nothing_is_unpickled(tmp_path):
    path = tmp_path / "arrays.npz"
    np.savez(path, a=np.array([{}], dtype=object))
    one_line(lambda: read_arrays(path), path, "damaged", "pickle")
