"""The baselines that learn nothing, on a case small enough for paper."""

import numpy as np
import pytest

from semad.data.patches import tile_items
from semad.scoring.baselines import baseline_scores


def test_baselines():
    image = np.zeros((64, 64, 1), np.uint8)
    image[:32, :32] = 10
    image[::2, 32:] = 4
    items = tile_items([image], 32, 16)
    found = baseline_scores([image], items, 32)
    assert found["brightness"][0] == pytest.approx(10)
    assert found["contrast"][0] == pytest.approx(0)
    # In the tile at (16, 16) a quarter is 10, half is the stripes, a quarter is 0.
    right = image[16:48, 16:48, 0].astype(float)
    assert found["brightness"][4] == pytest.approx(right.mean())
    assert found["contrast"][4] == pytest.approx(-right.std())
    # Four tiles hold the middle of a 15-pixel window that lies within the tens.
    assert found["local_minimum"].tolist() == [10, 10, 0, 10, 10, 0, 0, 0, 0]
    corner = baseline_scores([image], np.array([[0, 32, 32]], np.int32), 16)
    assert corner["local_minimum"].tolist() == [0]
