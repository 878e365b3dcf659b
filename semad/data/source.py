"""What every data source hands over: the same NamedTuple, whatever it was read from."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Source(NamedTuple):
    """Normal images to train on, and test images with what is known about them.

    Images are `(height, width, channels)` arrays of uint8 or uint16, all images of a source of
    one dtype and channel count, of any sizes. Nothing here is normalised: that is
    `semad.data.normalisation`, patch by patch.

    Attributes:
      name: the data set's id, as results name it (for example `nanotwice`, `tfds:mnist/normal=1`).
      train: normal images only.
      test: test images, normal and anomalous.
      masks: per test image a bool array `(height, width)`, True where anomalous, or None when
        only the image's label is known.
      labels: bool array `(len(test),)`, True where the test image holds an anomaly.
      train_ids, test_ids: a name per image, for result files.
      micrographs: True for images that are cut into crops and tiles, False for items that are one
        patch each (the one-vs-rest sets).
      oriented: True when a flipped image would no longer be of its class (digits, clothes), so
        that flips must not augment it.
      bit_depth: that all files were read with; 0 where there are none, or they are 8 bits deep.
      cautions: what a reader of results should know of the data, in plain sentences.
    """

    name: str
    train: Sequence[np.ndarray]
    test: Sequence[np.ndarray]
    masks: Sequence[np.ndarray | None]
    labels: np.ndarray
    train_ids: Sequence[str]
    test_ids: Sequence[str]
    micrographs: bool
    oriented: bool
    bit_depth: int = 0
    cautions: tuple[str, ...] = ()
