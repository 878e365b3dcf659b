"""Run lengths: by hand, and as COCO's own tools read and write them."""

import numpy as np
import pytest

from semad.scoring.rle import decode, encode


def test_a_mask_by_hand():
    """Down the columns: 4 pixels of 0, 2 of 1, 1 of 0, 2 of 1; the fourth is 2 − 2 = 0."""
    mask = np.array([[0, 0, 0], [0, 1, 1], [0, 1, 1]], bool)
    assert encode(mask[1:, 1:], 1, 1, 3, 3) == "4210"
    assert decode("4210", (1, 1, 3, 3), 3).all()


def test_long_runs_take_more_characters():
    """100 = 4 + 3 · 32: the bits 00100 with the sign for more, then 00011."""
    assert encode(np.ones((1, 1), bool), 0, 1, 100, 2) == "T31S3"  # 84 − 48 = 4 + 32


@pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning")  # of pycocotools
@pytest.mark.parametrize("height", [3, 40])
def test_coco_s_tools_agree(height):
    tools = pytest.importorskip("pycocotools.mask")
    draw = np.random.default_rng(height)
    for share in (0.1, 0.5, 0.9, 1.0):
        mask = draw.uniform(size=(height, 50)) < share
        mask[:, :5] = mask[:, -7:] = False
        mask[0, 5] = mask[-1, 42] = True
        text = encode(mask[:, 5:43], 0, 5, height, 50)
        expected = tools.encode(np.asfortranarray(mask))
        assert text == expected["counts"].decode()
        np.testing.assert_array_equal(
            tools.decode({"size": [height, 50], "counts": text}).astype(bool), mask
        )
        np.testing.assert_array_equal(decode(text, (0, 5, height, 43), height), mask[:, 5:43])
