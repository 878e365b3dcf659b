"""Tiles with planted defects: which they are, and the AUROC of a score on them."""

import numpy as np
import pytest

from semad.data.tiles import tile_labels
from semad.run.state import init_population
from semad.scoring.items import cut_items
from semad.selection.measures import validation_measure
from semad.selection.planted_tiles import auroc_of_families, plant_tiles
from semad.synthetic.planted import FAMILIES, plant
from tests import tiny

IMAGES = [
    np.random.default_rng(n).integers(60, 120, (96, 128, 1)).astype(np.uint8) for n in range(2)
]


def test_normal_tiles_and_those_on_defects():
    tiles = plant_tiles(IMAGES, 32, seed=3)
    normal = tiles.items[tiles.families == ""]
    assert len(normal) == 2 * 5 * 7
    assert set(normal[:, 0]) == {0, 1}
    planted = plant(IMAGES, [32], 3)
    assert set(tiles.families) == {"", *FAMILIES}
    for name in FAMILIES:
        numbers = [n for n, one in enumerate(planted) if one.family == name]
        items = tiles.items[tiles.families == name]
        for item in items:
            place = slice(item[1], item[1] + 32), slice(item[2], item[2] + 32)
            one = planted[item[0] - len(IMAGES)]
            assert item[0] - len(IMAGES) in numbers
            assert one.mask[place].sum() > 20
            np.testing.assert_array_equal(tiles.images[item[0]], one.image)
    masks = [one.mask for one in planted]
    every = np.concatenate([normal + [n, 0, 0] for n in range(0, len(planted), 2)])
    assert len(tiles.items) - len(normal) == tile_labels(masks, every, 32).sum()


def test_the_mean_over_families():
    tiles = plant_tiles(IMAGES, 32)
    scores = (tiles.families == "film").astype(float)
    counted = dict.fromkeys(FAMILIES, 1.0) | {"blur": 0.25}
    expected = (0.5 * (sum(counted.values()) - 1) + 1.0) / sum(counted.values())
    assert auroc_of_families(tiles, scores) == pytest.approx(expected)
    without = auroc_of_families(tiles, scores, excluded_families=["film"])
    assert without == pytest.approx(0.5)


def test_as_a_measure_of_training():
    """Minus the AUROC of the system's score, for each member; another score has another."""
    run = tiny.prepare("autoencoder", data__name="nanofibres", train__validation="planted_tiles")
    state = init_population(run.method, [0, 1])
    found = validation_measure(run)(state, 0)
    assert found.shape == (2,)
    assert found[0] != found[1]
    assert (found > -1).all() and (found < 0).all()


def test_items_as_small_as_a_patch():
    items = [image[:16, :16] for image in IMAGES]
    tiles = plant_tiles(items, 16)
    assert len(tiles.items[tiles.families == ""]) == 2
    assert cut_items(tiles.images, tiles.items, 16).shape[1:] == (16, 16, 1)
