"""The maps of many images: what is stopped goes on where it was, in evaluation and in choosing."""

import numpy as np
import pytest

from semad.scoring.kept_maps import map_and_keep
from semad.scoring.unfinished import Unfinished
from semad.selection.validator import try_on

IMAGES = [np.full((4, 5), number, np.float32) for number in range(7)]


def mapper(stop_at=None, error=KeyboardInterrupt, calls=None):
    def maps_of(images):
        for image in images:
            if stop_at is not None and image[0, 0] == stop_at:
                raise error
            if calls is not None:
                calls.append(int(image[0, 0]))
            yield {"a": 2 * image, "b/c": image + 1}

    return maps_of


def assert_whole(maps):
    assert len(maps) == 7
    for number, values in enumerate(maps):
        np.testing.assert_array_equal(values["a"], np.full((4, 5), 2 * number))
        np.testing.assert_array_equal(values["b/c"], np.full((4, 5), number + 1))


@pytest.mark.parametrize("every", [0.0, 60.0])
def test_a_stop_loses_nothing(tmp_path, every):
    kept = Unfinished(tmp_path / "kept", "a", every)
    with pytest.raises(KeyboardInterrupt):
        map_and_keep(mapper(stop_at=5), IMAGES, "mapping, test", kept)
    calls = []
    kept = Unfinished(tmp_path / "kept", "a", every)
    assert_whole(map_and_keep(mapper(calls=calls), IMAGES, "mapping, test", kept))
    assert calls == [5, 6]


def test_another_error_loses_what_is_not_a_minute_old(tmp_path):
    kept = Unfinished(tmp_path / "kept", "a")
    with pytest.raises(ValueError, match="no"):
        map_and_keep(mapper(stop_at=5, error=ValueError("no")), IMAGES, "mapping", kept)
    assert not (tmp_path / "kept").exists()


def test_what_is_whole_is_not_mapped_again(tmp_path):
    for calls in ([], list(range(7))):
        kept = Unfinished(tmp_path / "kept", "a", 0.0)
        expected, made = [] if calls else list(range(7)), []
        assert_whole(map_and_keep(mapper(calls=made), IMAGES, "mapping", kept))
        assert made == expected


def test_choosing_goes_on_where_it_was(tmp_path):
    draw = np.random.default_rng(0)
    normal = [draw.integers(0, 256, (64, 64, 1), np.uint8) for _ in range(2)]
    count = []

    def maps_of(images):
        for image in images:
            if len(count) == 5:
                raise KeyboardInterrupt
            count.append(1)
            yield {"a": image[..., 0].astype(np.float32)}

    def tried():
        kept = Unfinished(tmp_path / "kept", "a")
        return try_on(maps_of, normal, label="choosing", unfinished=kept)

    with pytest.raises(KeyboardInterrupt):
        tried()
    count.clear()
    count.extend([1] * 100)
    again = tried()
    whole = try_on(maps_of, normal)
    assert len(count) == 100 + 2 * len(whole.maps + whole.clean) - 5
    for maps, expected in zip(again.maps + again.clean, whole.maps + whole.clean, strict=True):
        np.testing.assert_array_equal(maps["a"], expected["a"])
