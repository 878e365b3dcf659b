"""What training draws from."""

import numpy as np

from semad.run.prepare import prepare
from semad.utils.pyramid import halve
from tests import tiny
from tests.complaints import one_line


def test_training_draws_from_every_level_of_a_pyramid():
    config = tiny.config("autoencoder", data__name="nanofibres", data__pyramid=3)
    run = prepare(config)
    levels = [run.normal.train[0]]
    levels += [halve(levels[0]), halve(halve(levels[0]))]
    assert len(run.train.sizes) == 3 * len(run.normal.train)
    for level, pixels, size in zip(levels, run.train.pixels, run.train.sizes, strict=False):
        assert tuple(size) == tuple(max(16, length) for length in level.shape[:2])
        height, width = level.shape[:2]
        np.testing.assert_array_equal(pixels[:height, :width], level)
    assert run.system.scoring.tiling.levels == 3
    assert len(prepare(tiny.config("autoencoder", data__name="nanofibres")).train.sizes) == len(
        run.normal.train
    )


def test_items_have_no_smaller_patches():
    one_line(
        lambda: prepare(tiny.config("autoencoder", data__pyramid=2)),
        "config.data.pyramid is 2, and the images of",
        "set --config.data.pyramid=1",
    )
