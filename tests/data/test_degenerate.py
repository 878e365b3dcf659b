"""Empty, flat and saturated frames, and images that only look like them."""

import numpy as np
import pytest

from semad.data.images import degenerate

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("value", [0, 7, 255])
def test_empty(value):
    assert degenerate(np.full((9, 8, 1), value, np.uint8)) == f"empty: all pixels are {value}"
    assert degenerate(np.full((9, 8, 3), value, np.uint8)) == f"empty: all pixels are {value}"


def test_flat():
    three = (100 + np.arange(72) % 3).astype(np.uint8).reshape(9, 8, 1)
    assert degenerate(three).startswith("flat: it holds 3 grey values")
    assert degenerate((100 + np.arange(72) % 4).astype(np.uint8).reshape(9, 8, 1)) is None
    hot = np.full((100, 100, 1), 20, np.uint8)
    hot[::2] += 1
    hot[0, :4, 0] = 0, 90, 255, 60  # hot and dead pixels
    assert degenerate(hot).startswith("flat: nearly all")


def test_flat_of_sixteen_bits_is_what_eight_could_not_tell():
    noise = RNG.integers(0, 257, (64, 64, 1))
    assert degenerate((30_000 + noise).astype(np.uint16)).startswith("flat: nearly all")
    assert degenerate((30_000 + 3 * noise).astype(np.uint16)) is None


@pytest.mark.parametrize(("dtype", "top"), [(np.uint8, 255), (np.uint16, 65535)])
@pytest.mark.parametrize(("end", "most"), [(0, 95), (1, 50)])
def test_saturated(dtype, top, end, most):
    values = np.arange(100).astype(dtype) * dtype(top // 100) + dtype(1)
    values[: most + 1] = end * top
    assert degenerate(values.reshape(10, 10, 1)).startswith(f"saturated: {most + 1}%")
    values[most] = 77
    assert degenerate(values.reshape(10, 10, 1)) is None


def test_a_micrograph_of_low_contrast_passes():
    image = np.rint(RNG.normal(120, 2, (64, 64, 1))).astype(np.uint8)
    assert len(np.unique(image)) < 20
    assert degenerate(image) is None


def test_a_coloured_image_counts_by_its_grey():
    red = np.zeros((16, 16, 3), np.uint8)
    red[..., 0] = np.arange(256).reshape(16, 16)  # two thirds of its samples are 0
    assert degenerate(red) is None
