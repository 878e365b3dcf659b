"""What a protocol scores, and what it calls anomalous, on cases small enough for paper."""

import numpy as np
import pytest

from semad.data.patches import tile_items
from semad.data.source import Source
from semad.data.tiles import subset, tile_labels
from semad.errors import UserError
from semad.evaluation.protocols import protocol_items, resolve_protocol


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
    assert (
        resolve_protocol("auto", source())
        == resolve_protocol("thesis_tiles", source())
        == "thesis_tiles"
    )
    assert resolve_protocol("auto", source(), convolutional=True) == "pixel"
    for convolutional in (False, True):
        assert resolve_protocol("auto", source(micrographs=False), convolutional) == "one_class"


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
        resolve_protocol(protocol, source(**changes))


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
