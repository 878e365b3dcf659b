"""Patches of the training and test images, cut on the device inside compiled programs.

Images stay on the device in their own integer type; crops, flips and the normalisation
(`semad.data.normalisation`) happen in the program that uses them, so that a training step needs no
work on the host.
"""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from semad.data.source import Source
from semad.errors import UserError
from semad.utils.rng import Stream, stream


class PaddedImages(NamedTuple):
    """Images of mixed sizes in one array: padded at the right and bottom, true sizes beside it.

    Attributes:
      pixels: (count, max height, max width, C), uint8 or uint16.
      sizes: int32 (count, 2), true height and width.
    """

    pixels: jax.Array
    sizes: jax.Array


class PatchSampling(NamedTuple):
    """How training patches are drawn; static.

    Attributes:
      patch_size: height and width of a patch, in pixels.
      crops_per_image: how many fixed random crops of each image make an epoch.
      batch_size: patches per batch.
      flips: whether each draw is flipped left-right and up-down at random.
      beyond: pixels by which places reach beyond an image, from where they are moved to its border.
    """

    patch_size: int
    crops_per_image: int
    batch_size: int
    flips: bool
    beyond: int = 0


def stack(images: Sequence[np.ndarray]) -> PaddedImages:
    """All images (height, width, C) in one padded array on the device."""
    sizes = np.array([image.shape[:2] for image in images], np.int32)
    shape = (len(images), *sizes.max(axis=0), images[0].shape[2])
    pixels = np.zeros(shape, images[0].dtype)
    for target, image in zip(pixels, images, strict=True):
        target[: image.shape[0], : image.shape[1]] = image
    return PaddedImages(jnp.asarray(pixels), jnp.asarray(sizes))


def crop(data: PaddedImages, item: jax.Array, patch_size: int) -> jax.Array:
    """The patch at item = (image, top, left): (P, P, C), integers."""
    start = (item[0], item[1], item[2], 0)
    size = (1, patch_size, patch_size, data.pixels.shape[-1])
    return jax.lax.dynamic_slice(data.pixels, start, size)[0]


def crops(data: PaddedImages, items: jax.Array | np.ndarray, patch_size: int) -> jax.Array:
    """The patches at items (N, 3): (N, P, P, C), integers."""
    return jax.vmap(lambda item: crop(data, item, patch_size))(items)


def steps_per_epoch(sampling: PatchSampling, image_count: int) -> int:
    """Batches in an epoch; what does not fill a batch waits for another epoch's order."""
    return max(1, image_count * sampling.crops_per_image // sampling.batch_size)


class Orders(NamedTuple):
    """In which order the crops are taken, in some epochs one after the other.

    Attributes:
      first: int32 scalar, the number of the first of these epochs.
      crops: int32 (epochs, images * crops_per_image), the numbers of the crops.
    """

    first: jax.Array
    crops: jax.Array


def draw_orders(
    sampling: PatchSampling, image_count: int, key: jax.Array, first: jax.Array, epochs: int
) -> Orders:
    """The orders of `epochs` epochs from number `first` on.

    Drawn for an epoch and not for every batch of it: to permute 50,000 crops takes a CPU as long as
    half a training step of a narrow network.
    """
    order_key, count = stream(key, Stream.ORDER), image_count * sampling.crops_per_image
    keys = jax.vmap(partial(jax.random.fold_in, order_key))(first + jnp.arange(epochs))
    return Orders(first, jax.vmap(lambda key: jax.random.permutation(key, count))(keys))


def epochs_of(batches: int, per_epoch: int) -> int:
    """How many epochs so many batches in a row may be of, wherever they start."""
    return -(-(batches - 1) // per_epoch) + 1


def sample_batch(
    data: PaddedImages, sampling: PatchSampling, key: jax.Array, index: jax.Array, orders: Orders
) -> jax.Array:
    """Training batch number `index` of a run: (B, P, P, C), integers.

    An epoch visits every one of the `crops_per_image` crops of every image once, in an order of
    its own. The places of the crops follow from the key alone, so they are the same in every
    epoch, as if they had been cut out beforehand (thesis protocol); flips are drawn anew.
    `orders` has the epoch of this batch.
    """
    place_key, flip_key = stream(key, Stream.PLACES), stream(key, Stream.FLIPS)
    count = orders.crops.shape[1]
    per_epoch = steps_per_epoch(sampling, data.pixels.shape[0])
    wanted = (index % per_epoch) * sampling.batch_size + jnp.arange(sampling.batch_size)
    # It wraps round only where an epoch is less than a batch.
    numbers = orders.crops[index // per_epoch - orders.first, wanted % count]
    items = jax.vmap(lambda number: _place(data, sampling, place_key, number))(numbers)
    patches = crops(data, items, sampling.patch_size)
    return flip(patches, jax.random.fold_in(flip_key, index)) if sampling.flips else patches


def _place(
    data: PaddedImages, sampling: PatchSampling, key: jax.Array, number: jax.Array
) -> jax.Array:
    """Where crop `number` lies: int32 (image, top, left), uniform over the image.

    A place beyond the image is moved to its border.
    """
    image = number // sampling.crops_per_image
    room = data.sizes[image] - sampling.patch_size + 1
    low, high = -sampling.beyond, room + sampling.beyond
    corner = jax.random.randint(jax.random.fold_in(key, number), (2,), low, high)
    corner = jnp.clip(corner, 0, room - 1)
    return jnp.concatenate([image[None], corner]).astype(jnp.int32)


def flip(patches: jax.Array, key: jax.Array) -> jax.Array:
    """Each patch flipped left-right and, independently, up-down with probability one half."""
    choices = jax.random.bernoulli(key, shape=(2, patches.shape[0], 1, 1, 1))
    patches = jnp.where(choices[0], patches[:, :, ::-1], patches)
    return jnp.where(choices[1], patches[:, ::-1], patches)


def tile_items(images: Sequence[np.ndarray], patch_size: int, stride: int) -> np.ndarray:
    """The thesis' grid of tiles: int32 (N, 3), rows of (image, top, left).

    It covers the part of an image that whole patches side by side would: 1024×672 of 1024×696.
    """
    grids = []
    for number, image in enumerate(images):
        height, width = (size // patch_size * patch_size for size in image.shape[:2])
        tops = range(0, height - patch_size + 1, stride)
        lefts = range(0, width - patch_size + 1, stride)
        grid = np.meshgrid([number], tops, lefts, indexing="ij")
        grids.append(np.stack(grid, axis=-1).reshape(-1, 3))
    return np.concatenate(grids).astype(np.int32)


def fit(source: Source, patch_size: int) -> Source:
    """The source with every image at least one patch in size.

    Items of a one-vs-rest set that are smaller than a patch are padded with the darkest value,
    evenly on all sides (28×28 to 32×32).

    Raises:
      UserError: for a micrograph smaller than a patch, or an item larger than one.
    """
    if source.micrographs:
        for images, ids in ((source.train, source.train_ids), (source.test, source.test_ids)):
            for image, name in zip(images, ids, strict=True):
                if min(image.shape[:2]) < patch_size:
                    raise UserError(
                        f"{name}: the image is {image.shape[1]}×{image.shape[0]} pixels, smaller "
                        f"than a patch of {patch_size}; remove it or set a smaller "
                        "--config.data.patch_size (16, 32, 64, 128)"
                    )
        return source
    return source._replace(
        train=[pad(image, patch_size, source.name) for image in source.train],
        test=[pad(image, patch_size, source.name) for image in source.test],
    )


def pad(image: np.ndarray, patch_size: int, name: str) -> np.ndarray:
    """An item (height, width, C) of at most a patch in size, padded to one with zeros evenly.

    Raises:
      UserError: for a larger one; `name` says whose.
    """
    height, width = image.shape[:2]
    if max(height, width) > patch_size:
        raise UserError(
            f"{name}: items are {width}×{height} pixels, larger than a patch of {patch_size}; "
            "set a larger --config.data.patch_size (16, 32, 64, 128)"
        )
    down, right = patch_size - height, patch_size - width
    return np.pad(image, ((down // 2, down - down // 2), (right // 2, right - right // 2), (0, 0)))
