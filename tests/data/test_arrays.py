"""Arrays as images."""

import numpy as np
import pytest

from semad.data.arrays import from_array, from_arrays


@pytest.mark.parametrize(
    ("dtype", "value", "kept", "expected"),
    [
        (np.uint8, 200, np.uint8, 200),
        (np.uint16, 40_000, np.uint16, 40_000),
        (bool, True, np.uint8, 255),
        (np.float32, 0.5, np.uint16, 32_768),
        (np.float64, 1.0, np.uint16, 65_535),
    ],
)
def test_dtypes_and_ranges(dtype, value, kept, expected):
    found = from_array(np.full((3, 4), value, dtype), 1)
    assert (found.shape, found.dtype) == ((3, 4, 1), kept)
    assert (found == expected).all()


def test_shapes():
    assert [one.shape for one in from_arrays(np.zeros((2, 5, 6), np.uint8), 3)] == [(5, 6, 3)] * 2
    mixed = [np.zeros((4, 5), np.uint8), np.zeros((6, 7, 3), np.uint8)]
    assert [one.shape for one in from_arrays(mixed, 1)] == [(4, 5, 1), (6, 7, 1)]


def test_mixed_depths_become_one():
    dark, deep = from_arrays([np.full((4, 4), 2, np.uint8), np.full((4, 4), 999, np.uint16)], 1)
    assert (dark.dtype, deep.dtype) == (np.uint16, np.uint16)
    assert (dark.max(), deep.max()) == (2 * 257, 999)


def test_half_precision_keeps_its_values():
    assert from_array(np.full((2, 2), 1.0, np.float16), 1).max() == 65535


@pytest.mark.parametrize(
    ("images", "says"),
    [
        (np.zeros((4, 4), np.uint8), "shape"),
        (np.zeros((2, 4, 4), np.int64), "int64"),
        (np.full((2, 4, 4), 1.5), r"\[0, 1\]"),
        (np.full((2, 4, 4), np.nan), r"\[0, 1\]"),
        ([np.zeros((4, 4, 7), np.uint8)], "shape"),
        ([], "no images"),
    ],
)
def test_what_is_no_image(images, says):
    with pytest.raises(ValueError, match=says):
        from_arrays(images, 1)
