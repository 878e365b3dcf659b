"""Metrics, labels and baselines on cases small enough for paper."""

import numpy as np
import pytest

from semad.data.patches import tile_items
from semad.data.source import Source
from semad.errors import UserError
from semad.evaluation import metrics
from semad.evaluation.baselines import baseline_scores
from semad.evaluation.protocols import protocol_items, resolve, subset, tile_labels

LABELS = np.array([False, True, False, True, True])
SCORES = np.array([0.1, 0.4, 0.5, 0.8, 0.9])


def test_ranking():
    # Of 2·3 pairs one is in the wrong order: 0.5 (normal) above 0.4 (anomalous).
    found = metrics.ranking(LABELS, SCORES)
    assert found["auroc"] == pytest.approx(5 / 6)
    # Precision at the ranks of the anomalous items: 1/1, 2/2, 3/4.
    assert found["average_precision"] == pytest.approx((1 + 1 + 3 / 4) / 3)


def test_ranking_needs_both_classes():
    for labels in (np.zeros(3, bool), np.ones(3, bool)):
        found = metrics.ranking(labels, np.arange(3.0))
        assert found == {"auroc": None, "average_precision": None}


def test_at_threshold():
    found = metrics.at_threshold(LABELS, SCORES, 0.45)
    assert found["precision"] == pytest.approx(2 / 3)
    assert found["recall"] == pytest.approx(2 / 3)
    assert found["f1"] == pytest.approx(2 / 3)
    nothing = metrics.at_threshold(LABELS, SCORES, 1.0)
    assert nothing == {"precision": 0.0, "recall": 0.0, "f1": 0.0}


def test_transductive_thresholds_are_percentiles_of_the_test_scores():
    labels = np.arange(1000) >= 900
    scores = np.arange(1000.0)
    found = metrics.transductive(labels, scores)
    assert found["90"]["threshold"] == pytest.approx(899.1)
    assert found["90"]["precision"] == found["90"]["recall"] == 1.0
    assert found["80"]["precision"] == pytest.approx(0.5)
    assert found["99.9"]["recall"] == pytest.approx(0.01)


def test_the_thesis_takes_the_percentile_with_the_best_f1():
    labels = np.arange(1000) >= 900
    table = metrics.transductive(labels, np.arange(1000.0))
    assert list(table) == [
        "80", "85", "90", "95", "96", "97", "98", "99",
        *(f"99.{tenth}" for tenth in range(1, 10)),
    ]  # fmt: skip
    best = metrics.transductive_best(table)
    assert best == {"percentile": 90.0} | table["90"]
    assert best["f1"] == 1.0


def test_tile_labels_count_pixels():
    mask = np.zeros((64, 64), bool)
    mask[:4, :5] = True  # 20 pixels: not more than 20
    mask[40, :21] = True  # 21 pixels, in the tiles that reach row 40
    items = tile_items([mask[..., None]], 32, 16)
    places = [(top, left) for top in (0, 16, 32) for left in (0, 16, 32)]
    assert items.tolist() == [[0, *place] for place in places]
    labels = dict(zip(places, tile_labels([mask], items, 32).tolist(), strict=True))
    assert [place for place, label in labels.items() if label] == [(16, 0), (32, 0)]
    # 64 pixels take four times as many, 16 a quarter.
    assert tile_labels([np.ones((16, 16), bool)], np.array([[0, 0, 0]]), 16).tolist() == [True]
    small = np.zeros((16, 16), bool)
    small[0, :5] = True
    assert tile_labels([small], np.array([[0, 0, 0]]), 16).tolist() == [False]
    small[0, 5] = True
    assert tile_labels([small], np.array([[0, 0, 0]]), 16).tolist() == [True]


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


def test_subsets_are_seeded_and_ordered():
    assert subset(5, 0, 0).tolist() == subset(5, 9, 0).tolist() == [0, 1, 2, 3, 4]
    first = subset(1000, 50, 3)
    assert len(set(first.tolist())) == 50
    assert (np.diff(first) > 0).all()
    np.testing.assert_array_equal(first, subset(1000, 50, 3))
    assert (first != subset(1000, 50, 4)).any()


def source(**changes):
    image = np.zeros((40, 40, 1), np.uint8)
    fields = {
        "name": "test",
        "train": [image],
        "test": [image],
        "masks": [np.zeros((40, 40), bool)],
        "labels": np.array([False]),
        "train_ids": ["a"],
        "test_ids": ["b.tif"],
        "micrographs": True,
        "oriented": False,
    }
    return Source(**(fields | changes))


def test_protocols_follow_the_data():
    assert resolve("auto", source()) == resolve("thesis_tiles", source()) == "thesis_tiles"
    assert resolve("auto", source(), convolutional=True) == "pixel"
    for convolutional in (False, True):
        assert resolve("auto", source(micrographs=False), convolutional) == "one_class"


@pytest.mark.parametrize(
    ("protocol", "changes", "message"),
    [
        ("one_class", {}, "does not suit the data set test; use thesis_tiles"),
        ("thesis_tiles", {"micrographs": False}, "use one_class"),
        ("auto", {"masks": [None]}, "b.tif has no mask"),
        ("auto", {"test": [], "masks": [], "test_ids": []}, "there are no test images"),
    ],
)
def test_protocols_that_do_not_suit(protocol, changes, message):
    with pytest.raises(UserError, match=message):
        resolve(protocol, source(**changes))


def test_one_class_items_are_images():
    images = [np.zeros((32, 32, 1), np.uint8)] * 3
    labels = np.array([True, False, True])
    items = source(test=images, labels=labels, micrographs=False)
    found = protocol_items("one_class", items, 32, 16)
    assert found.items.tolist() == [[0, 0, 0], [1, 0, 0], [2, 0, 0]]
    np.testing.assert_array_equal(found.labels, labels)


def test_nanotwice_must_have_its_tiles():
    with pytest.raises(UserError, match="not the published ones"):
        protocol_items("thesis_tiles", source(name="nanotwice"), 32, 16)
