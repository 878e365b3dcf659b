"""Crops, batches, tiles and the split, on images whose pixels tell where they came from."""

import jax
import numpy as np
import pytest

from semad.data import patches
from semad.data.patches import PatchSampling
from semad.data.source import Source
from semad.errors import UserError


def coded(height, width, number):
    """A uint16 image in which every pixel names its image, row and column."""
    rows, columns = np.mgrid[:height, :width]
    return (number * 10_000 + rows * 100 + columns).astype(np.uint16)[..., None]


def source(images, micrographs=True):
    ids = [f"image_{n}" for n in range(len(images))]
    return Source("test", images, [], [], np.zeros(0, bool), ids, [], micrographs, False)


IMAGES = [coded(40, 50, 1), coded(36, 64, 2), coded(60, 33, 3)]


def decode(batch):
    """The coded integers of a batch."""
    assert batch.dtype == np.uint16
    return np.asarray(batch).astype(int)[..., 0]


def batch_of(data, sampling, index):
    key, count = jax.random.key(0), len(data.pixels)
    first = index // patches.steps_per_epoch(sampling, count)
    orders = patches.draw_orders(sampling, count, key, first, 1)
    return patches.sample_batch(data, sampling, key, index, orders)


def test_batches_are_crops_of_the_true_image_area():
    sampling = PatchSampling(patch_size=32, crops_per_image=8, batch_size=6, flips=False)
    data = patches.stack(IMAGES)
    found = set()
    per_epoch = patches.steps_per_epoch(sampling, len(IMAGES))
    assert per_epoch == 4
    epochs = []
    for epoch in range(2):
        seen = []
        for index in range(epoch * per_epoch, (epoch + 1) * per_epoch):
            for patch in decode(batch_of(data, sampling, index)):
                image, top, left = (
                    patch[0, 0] // 10_000,
                    patch[0, 0] // 100 % 100,
                    patch[0, 0] % 100,
                )
                expected = IMAGES[image - 1][top : top + 32, left : left + 32, 0]
                np.testing.assert_array_equal(patch, expected)
                seen.append((image, top, left))
                found.add(image)
        epochs.append(seen)
    assert found == {1, 2, 3}
    # The same 24 crops in both epochs, each once, in another order.
    assert sorted(epochs[0]) == sorted(epochs[1])
    assert epochs[0] != epochs[1]
    assert [sum(item[0] == n for item in epochs[0]) for n in (1, 2, 3)] == [8, 8, 8]


@pytest.mark.parametrize(
    ("batches", "per_epoch", "epochs"),
    [(1, 1, 1), (2, 1, 2), (1, 4, 1), (2, 4, 2), (5, 4, 2), (6, 4, 3), (150, 2, 76)],
)
def test_so_many_batches_are_of_so_many_epochs(batches, per_epoch, epochs):
    spans = [
        len({index // per_epoch for index in range(start, start + batches)})
        for start in range(per_epoch)
    ]
    assert patches.epochs_of(batches, per_epoch) == max(spans) == epochs


def test_a_batch_is_the_same_whichever_epoch_the_orders_begin_with():
    sampling = PatchSampling(patch_size=32, crops_per_image=8, batch_size=6, flips=False)
    data, key = patches.stack(IMAGES), jax.random.key(0)
    orders = patches.draw_orders(sampling, len(IMAGES), key, 1, 3)
    for index in (4, 7, 8, 15):  # of the epochs 1 to 3
        batch = patches.sample_batch(data, sampling, key, index, orders)
        np.testing.assert_array_equal(decode(batch), decode(batch_of(data, sampling, index)))


def test_flips_leave_the_set_of_pixels_and_reach_all_four_forms():
    sampling = PatchSampling(patch_size=32, crops_per_image=1, batch_size=64, flips=True)
    batch = decode(batch_of(patches.stack([coded(32, 32, 0)]), sampling, 0))
    corners = {int(patch[0, 0]) for patch in batch}
    assert corners == {0, 31, 3100, 3131}
    assert all(sorted(patch.ravel()) == sorted(batch[0].ravel()) for patch in batch)


def test_an_epoch_smaller_than_a_batch_wraps_round():
    sampling = PatchSampling(patch_size=32, crops_per_image=1, batch_size=7, flips=False)
    batch = batch_of(patches.stack(IMAGES), sampling, 0)
    assert batch.shape == (7, 32, 32, 1)
    assert {int(patch[0, 0]) // 10_000 for patch in decode(batch)} == {1, 2, 3}


@pytest.mark.parametrize("beyond", [0, 16])
def test_places_beyond_an_image_are_moved_to_its_border(beyond):
    """Of 65 rows to start in; with 16 more on either side the first and the last stand for 17."""
    count = 40_000
    sampling = PatchSampling(32, count, count, flips=False, beyond=beyond)
    data = patches.stack([np.arange(96, dtype=np.uint8).repeat(32).reshape(96, 32, 1)])
    batch = np.asarray(batch_of(data, sampling, 0))
    shares = np.bincount(batch[:, 0, 0, 0], minlength=65) / count
    assert len(shares) == 65
    expected = np.full(65, 1 / (65 + 2 * beyond))
    expected[[0, -1]] *= 1 + beyond
    np.testing.assert_allclose(shares, expected, rtol=0.25)


def test_tiles_of_the_thesis_grid():
    items = patches.tile_items([np.zeros((696, 1024, 1), np.uint8)] * 40, 32, 16)
    assert items.shape == (103_320, 3)
    assert (items.max(axis=0) == (39, 640, 992)).all()


def test_crops_cut_where_the_items_say():
    items = np.array([[0, 3, 4], [2, 28, 1]], np.int32)
    found = decode(patches.crops(patches.stack(IMAGES), items, 32))
    np.testing.assert_array_equal(found[0], IMAGES[0][3:35, 4:36, 0])
    np.testing.assert_array_equal(found[1], IMAGES[2][28:60, 1:33, 0])


def test_small_items_are_padded_evenly_with_black():
    items = np.full((3, 28, 27, 1), 9, np.uint8)
    fitted = patches.fit(source(items, micrographs=False), 32)
    image = fitted.train[0]
    assert image.shape == (32, 32, 1)
    assert (image[2:30, 2:29] == 9).all()
    assert image.sum() == 28 * 27 * 9


@pytest.mark.parametrize(
    ("images", "micrographs", "message"),
    [
        ([np.zeros((20, 90, 1), np.uint8)], True, "image_0: the image is 90×20 pixels, smaller"),
        ([np.zeros((33, 33, 1), np.uint8)], False, "items are 33×33 pixels, larger"),
    ],
)
def test_sizes_that_do_not_fit(images, micrographs, message):
    with pytest.raises(UserError, match=message):
        patches.fit(source(images, micrographs), 32)
