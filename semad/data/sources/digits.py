"""scikit-learn's bundled handwritten digits, one class against the rest: for the fastest tests."""

import numpy as np

from semad.config.schema import DataSettings
from semad.data.images import to_channels
from semad.data.source import Source
from semad.data.sources.one_vs_rest import make_source, rule

TRAIN_PERCENT = 80


def load(data: DataSettings) -> Source:
    """Loads the 1,797 digits as uint8 images of 16x16 pixels.

    Of each normal class the first 80 % in stored order train; the test is the rest of those
    classes and all images of the others.

    Raises:
      UserError: an unknown protocol or class.
    """
    # Imported only here: importing scikit-learn takes a second.
    from sklearn.datasets import load_digits

    digits = load_digits()
    chosen = rule(data, classes=10)
    in_train = _first_of_each(digits.target) & chosen.normal[digits.target]
    train, test = np.flatnonzero(in_train), np.flatnonzero(~in_train)
    images = [to_channels(_enlarge(values), data.channels) for values in digits.images]
    return make_source(
        name=f"digits/{chosen.id}",
        train=[images[i] for i in train],
        test=[images[i] for i in test],
        anomalous=~chosen.normal[digits.target[test]],
        ids=([f"digit/{i}" for i in train], [f"digit/{i}" for i in test]),
    )


def _first_of_each(labels: np.ndarray) -> np.ndarray:
    """Returns a bool array, True for the first 80 % (rounded down) of every class."""
    first = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        first[members[: len(members) * TRAIN_PERCENT // 100]] = True
    return first


def _enlarge(values: np.ndarray) -> np.ndarray:
    """Turns 8x8 values of 0 to 16 into 16x16 of uint8."""
    grey = np.round(values * (255 / 16)).astype(np.uint8)
    return grey.repeat(2, axis=0).repeat(2, axis=1)
