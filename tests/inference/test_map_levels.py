"""A byte per pixel that compares as the float does at each of the sliders' settings."""

import numpy as np
import pytest

from semad.inference.map_levels import as_values, reduce, sliders_of, to_bytes


def test_a_byte_compares_as_the_map(inspector, fibres):
    sliders = sliders_of(inspector)
    assert len(sliders.levels) <= 255
    assert sliders.image[sliders.start[0]].threshold == inspector.thresholds_.image
    assert sliders.cores[sliders.start[0]] == inspector.thresholds_.core
    assert sliders.pixel[sliders.start[1]].threshold == inspector.thresholds_.pixel
    values = inspector.anomaly_map(fibres.test[0])
    values.flat[:4] = [-np.inf, np.inf, inspector.thresholds_.pixel, inspector.thresholds_.image]
    counts = to_bytes(values, sliders.levels)
    for threshold in [setting.threshold for setting in sliders.pixel] + list(sliders.cores):
        place = np.flatnonzero(sliders.levels == np.float32(threshold))
        assert len(place) == 1
        np.testing.assert_array_equal(counts > place[0], values > threshold)


def test_levels_by_hand():
    counts = to_bytes(np.array([[0.5, 1.0, 1.5], [2.0, 3.0, 9.0]], np.float32), np.float32([1, 2]))
    assert counts.tolist() == [[0, 0, 1], [1, 2, 2]]
    assert reduce(counts, 2).tolist() == [[2, 2]]
    assert reduce(counts, 1) is counts


def test_the_page_is_told_what_each_setting_is_calibrated_to(inspector):
    sliders = sliders_of(inspector)
    values = as_values(sliders)
    used = values["image"][sliders.start[0]]
    assert used["rate"] == pytest.approx(inspector.calibration_["rate"])
    assert used["rule"] == inspector.calibration_["rule"]
    assert {setting["rule"] for setting in values["pixel"]} == {"conformal"}
