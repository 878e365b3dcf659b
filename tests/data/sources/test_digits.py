"""The digits, one-vs-rest in both polarities: counts from scikit-learn's own labels."""

import numpy as np
from sklearn.datasets import load_digits

from semad.config.schema import DataSettings
from semad.data import sources
from tests.complaints import one_line


def settings(**changes):
    base = {"name": "digits", "dir": None, "protocol": "one_class_normal", "normal_class": 3}
    return DataSettings({**base, "anomalous_class": 3, "channels": 1, **changes})


def test_one_class_normal():
    source = sources.load(settings())
    labels = load_digits().target
    # 183 threes: floor(.8 * 183) = 146 train, 37 and the 1,614 others test.
    assert (labels == 3).sum() == 183
    assert (len(source.train), len(source.test)) == (146, 37 + 1614)
    assert source.name == "digits/normal=3"
    assert (~source.labels).sum() == 37
    for identifiers, kept in ((source.train_ids, [3]), (source.test_ids, range(10))):
        assert {labels[int(i.split("/")[1])] for i in identifiers} == set(kept)
    for identifier, anomalous in zip(source.test_ids, source.labels, strict=True):
        assert (labels[int(identifier.split("/")[1])] != 3) == anomalous
    assert source.train_ids[0] == f"digit/{np.flatnonzero(labels == 3)[0]}"
    assert source.train_ids[-1] == f"digit/{np.flatnonzero(labels == 3)[145]}"


def test_one_class_anomalous():
    source = sources.load(settings(protocol="one_class_anomalous"))
    counts = np.bincount(load_digits().target)
    train = sum(count * 8 // 10 for digit, count in enumerate(counts) if digit != 3)
    assert (len(source.train), len(source.test)) == (train, 1797 - train)
    assert source.labels.sum() == 183
    assert source.name == "digits/anomalous=3"
    assert not set(source.train_ids) & set(source.test_ids)


def test_images():
    source = sources.load(settings(channels=3))
    values = load_digits().images[int(source.train_ids[0].split("/")[1])]
    image = source.train[0]
    assert (image.shape, image.dtype) == ((16, 16, 3), np.uint8)
    assert np.array_equal(image[::2, 1::2, 2], np.round(values * 255 / 16))
    assert (source.micrographs, source.oriented) == (False, True)
    assert source.masks == [None] * len(source.test)
    assert source.labels.dtype == bool


def test_errors():
    one_line(lambda: sources.load(settings(normal_class=10)), "normal_class=10", "0 to 9")
    one_line(lambda: sources.load(settings(normal_class=None)), "normal_class=None")
    anomalous = settings(protocol="one_class_anomalous", anomalous_class=-1)
    one_line(lambda: sources.load(anomalous), "anomalous_class=-1", "0 to 9")
    one_line(lambda: sources.load(settings(protocol="pixel")), "'pixel'", "one_class_normal")
    unknown = settings(name="moon_rocks")
    one_line(lambda: sources.load(unknown), "moon_rocks", "nanofibres", "tfds:<name>", "folder")
