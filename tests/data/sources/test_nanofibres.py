"""The procedural set: determinism, masks, and that neither brightness nor contrast solves it."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from semad.config.schema import DataSettings
from semad.data import sources
from semad.errors import UserError


def load(**changes):
    base = {"name": "nanofibres", "dir": None, "channels": 1, "seed": 0, "train_images": 8}
    return sources.load(DataSettings({**base, "test_images": 16, "image_size": 256, **changes}))


def small(**changes):
    return load(**{"train_images": 2, "test_images": 2, "image_size": 96, **changes})


def tiles(image):
    views = np.lib.stride_tricks.sliding_window_view(image, (32, 32))[::16, ::16]
    return views.reshape(-1, 32 * 32)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_brightness_and_contrast_do_not_solve_it(seed):
    source = load(seed=seed)
    pixels = np.concatenate([tiles(image[..., 0]) for image in source.test]).astype(float)
    anomalous = np.concatenate([tiles(mask) for mask in source.masks]).sum(1) > 20
    assert len(anomalous) == 16 * 15 * 15
    for feature in (pixels.mean(1), pixels.std(1)):
        area = roc_auc_score(anomalous, feature)
        assert max(area, 1 - area) <= 0.70
    share = np.array([mask.mean() for mask in source.masks])
    assert 0.02 < share[source.labels].mean() < 0.04
    assert share[source.labels].min() > 0.015
    assert share[source.labels].max() < 0.05


def test_what_it_returns():
    source = load(train_images=1, test_images=5, image_size=80, channels=3)
    assert source.name == "nanofibres"
    assert [image.shape for image in source.train] == [(80, 80, 3)]
    assert {image.dtype for image in source.test} == {np.dtype(np.uint8)}
    assert source.labels.tolist() == [False, True, False, True, False]
    assert [bool(mask.any()) for mask in source.masks] == source.labels.tolist()
    assert {(mask.shape, mask.dtype) for mask in source.masks} == {((80, 80), np.dtype(bool))}
    assert source.test_ids[:2] == ["test_000", "test_001"]
    assert (source.micrographs, source.oriented) == (True, False)


def test_same_seed_same_images_and_no_global_randomness():
    np.random.seed(5)  # noqa: NPY002
    first = small()
    assert np.random.randint(10**6) == np.random.RandomState(5).randint(10**6)  # noqa: NPY002
    again, other = small(), small(seed=1)
    assert np.array_equal(first.test, again.test)
    assert np.array_equal(first.masks, again.masks)
    assert not np.array_equal(first.test, other.test)
    assert not np.array_equal(first.train[0], first.test[0])


def test_more_images_leave_the_others_as_they_are():
    few, many = small(), small(train_images=3, test_images=4)
    assert np.array_equal(few.train, many.train[:2])
    assert np.array_equal(few.test, many.test[:2])


def test_no_test_images():
    source = small(test_images=0)
    assert (list(source.test), source.labels.shape, source.labels.dtype) == ([], (0,), bool)


@pytest.mark.parametrize(
    ("key", "value"),
    [("seed", -1), ("train_images", 0), ("test_images", -1), ("image_size", 63)],
)
def test_errors(key, value):
    with pytest.raises(UserError) as caught:
        small(**{key: value})
    assert "\n" not in str(caught.value)
    assert f"config.data.{key}={value}" in str(caught.value)
