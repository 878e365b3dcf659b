"""Chunks that do not fit into a device's memory."""

import threading
import time

import jax
import numpy as np
import pytest

from semad.scoring.batched import PatchScores, WithinMemory
from semad.scoring.chunks import score_chunks
from semad.scoring.maps import anomaly_maps
from semad.scoring.tiling import MapTiling

PATCHES = np.arange(40, dtype=np.float32).reshape(40, 1, 1, 1)


class Device:
    """A scorer on a device with memory for so many patches; it notes the size of every call."""

    def __init__(self, room, said="RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes."):
        self.room, self.said = room, said
        self.calls = []

    def __call__(self, member, patches, absent):
        self.calls.append(len(patches))
        assert absent.shape == patches.shape[:1]
        if len(patches) > self.room:
            raise jax.errors.JaxRuntimeError(self.said)
        return PatchScores({"sum": patches.sum(axis=(1, 2, 3))}, {"map": patches[..., 0]}, None)


def scores(device, chunk, **options):
    parts = list(
        score_chunks(
            WithinMemory(device), None, PATCHES.__getitem__, len(PATCHES), chunk, **options
        )
    )
    assert [start for start, _ in parts] == list(range(0, len(PATCHES), chunk))
    return np.concatenate([part.scores["sum"] for _, part in parts])


@pytest.mark.parametrize("at_once", [1, 2, 3])
def test_a_chunk_that_does_not_fit_is_halved_once_for_all_calls(at_once, caplog):
    device = Device(room=5)
    found = scores(device, 16, calls_at_once=at_once)
    np.testing.assert_array_equal(found, np.arange(40))
    assert device.calls == [16, 8, *[4] * 12]  # 3 chunks, the last of them filled up
    assert [record.args for record in caplog.records] == [(16, 8, 4), (8, 4, 2)]  # two devices


def test_what_fits_is_one_call_a_chunk(caplog):
    device = Device(room=16)
    np.testing.assert_array_equal(scores(device, 16), np.arange(40))
    assert device.calls == [16, 16, 16]
    assert not caplog.records


def test_the_first_call_of_a_shape_is_made_alone():
    """Two would each compile the program; those that follow run at the same time."""
    started, beside_the_first = [], []
    together = threading.Barrier(2)

    def device(member, patches, absent):
        started.append(None)
        if len(started) == 1:
            time.sleep(0.2)
            beside_the_first.append(len(started) - 1)
        else:
            together.wait(timeout=30)
        return PatchScores({"sum": patches.sum(axis=(1, 2, 3))}, {}, None)

    list(score_chunks(WithinMemory(device), None, PATCHES.__getitem__, 20, 4, calls_at_once=2))
    assert beside_the_first == [0]
    assert len(started) == 5


def test_it_ends_where_not_even_a_patch_for_each_device_fits():
    device = Device(room=1)
    with pytest.raises(jax.errors.JaxRuntimeError, match="RESOURCE_EXHAUSTED"):
        scores(device, 16)
    assert device.calls == [16, 8, 4, 2]


def test_other_errors_of_a_device_are_raised_at_once():
    device = Device(room=5, said="INTERNAL: a bug")
    with pytest.raises(jax.errors.JaxRuntimeError, match="a bug"):
        scores(device, 16)
    assert device.calls == [16]


def test_a_map_is_the_same():
    image = np.random.default_rng(0).integers(0, 256, (50, 61, 1), np.uint8)

    def maps(scorer):
        return anomaly_maps(scorer, None, image, MapTiling(16, 5, 8))["map"]

    small = Device(room=2)
    scorer = WithinMemory(small)
    np.testing.assert_array_equal(maps(scorer), maps(Device(room=100)))
    assert small.calls[:2] == [8, 4]
    small.calls.clear()
    maps(scorer)  # the next image does not try again what did not fit
    assert set(small.calls) == {2}
