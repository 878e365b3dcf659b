"""Which normal images, or rows of them, training sees."""

import numpy as np
import pytest

from semad.data import normal_images
from semad.data.normal_images import NormalImages, split
from semad.errors import UserError
from tests.data.test_patches import coded, source


def test_few_images_give_up_their_bottom_rows():
    images = [coded(90, 40, n) for n in range(5)]
    normal = split(source(images), 0.2, 32)
    assert normal.part == pytest.approx(32 / 90)
    assert normal.seen == [58] * 5  # at least a patch is held out
    for whole, top, bottom in zip(images, normal.train, normal.holdout, strict=True):
        assert bottom.shape[0] == 32
        np.testing.assert_array_equal(np.concatenate([top, bottom]), whole)


def test_many_images_are_held_out_whole():
    images = [coded(32, 32, n % 6) for n in range(20)]
    normal = split(source(images), 0.2, 32)
    assert (len(normal.train), len(normal.holdout), normal.part) == (16, 4, 1)
    assert [number for number, rows in enumerate(normal.seen) if not rows] == [0, 6, 12, 19]
    assert sum(map(np.sum, normal.train)) + sum(map(np.sum, normal.holdout)) == np.sum(images)


def test_images_too_small_to_split():
    with pytest.raises(UserError, match="cannot give both training and held-out"):
        split(source([coded(50, 50, 0)]), 0.2, 32)


def test_of_many_images_few_that_were_trained_on_are_kept(monkeypatch):
    images = [np.full((2, 2, 1), number, np.uint8) for number in range(12)]
    names = [f"{number}.png" for number in range(12)]
    normal = NormalImages(images, [0, 2, 2, 2, 2, 0, 2, 2, 2, 2, 2, 0], 1.0, names)
    assert normal.thinned() == normal
    monkeypatch.setattr(normal_images, "_SEEN", 6)
    few = normal.thinned()
    assert [int(image[0, 0, 0]) for image in few.images] == [0, 1, 5, 6, 10, 11]
    assert few.seen == [0, 2, 0, 2, 2, 0]
    assert few.names == ["0.png", "1.png", "5.png", "6.png", "10.png", "11.png"]
    monkeypatch.setattr(normal_images, "_SEEN", 2)  # held-out ones alone are enough
    assert normal.thinned().seen == [0, 0, 0]
    monkeypatch.setattr(normal_images, "_PIXELS", 8)
    assert [int(image[0, 0, 0]) for image in normal.thinned().images] == [0, 11]


def test_parts_of_few_images_stay_together():
    images = [coded(90, 40, n) for n in range(3)]
    normal = split(source(images), 0.5, 32)
    assert normal.thinned() == normal
