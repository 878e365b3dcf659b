"""Thresholds of other rates: by hand, and the same as calibration has them."""

import numpy as np
import pytest

from semad.scoring.calibration import calibrate
from semad.scoring.extrapolation import FewImages
from semad.scoring.image_scores import ImageScorer
from semad.scoring.overfitting import NormalMap
from semad.scoring.rate_curves import Setting, _rising, rate_curves, with_setting
from semad.scoring.thresholds import Rates


def test_curves_by_hand():
    """Nine images of the levels 0 to 8: rate r has the level of rank ⌈10 (1 − r)⌉, less one."""
    maps = [np.full((4, 4), float(level)) for level in range(9)]
    scores = np.arange(9.0)
    few = FewImages("mean", scores[:, None], [], 1.0, 1)
    curves = rate_curves(scores, maps, ImageScorer("mean", 1), few, 0.1)
    assert curves.image[:5] == (
        Setting(4, 0.5, "conformal"),
        Setting(5, 0.4, "conformal"),
        Setting(6, 0.3, "conformal"),
        Setting(7, 0.2, "conformal"),
        Setting(8, 0.1, "conformal"),  # and of .15, which is not kept apart from it
    )
    # Mean 4 and standard deviation √7.5; Student's t of 8 degrees is 1.8595 at 5 %.
    limit = 4 + 1.8595 * np.sqrt(7.5 * 10 / 9)
    assert Setting(pytest.approx(limit, rel=1e-4), 0.05, "extrapolated") in curves.image
    assert len(curves.image) == 5 + 10
    # Of 144 pixels, 16 a level: rank 102 is level 6, 124 (and 116, of .2) is 7; 129 on are 8.
    assert curves.pixel[:2] == (Setting(6, 0.3, "conformal"), Setting(7, 0.15, "conformal"))
    assert curves.pixel[2:] == (Setting(8, 0.007, "conformal"),)  # 1 in 145 at least


def test_levels_beyond_what_two_images_tell():
    """Of 0 and 2: no rate below 1/3 is known."""
    scores = np.array([0.0, 2.0])
    few = FewImages("mean", scores[:, None], [], 1.0, 1)
    maps = [np.full((4, 4), level) for level in scores]
    curve = rate_curves(scores, maps, ImageScorer("mean", 1), few, 1 / 3).image
    beyond = [Setting(2 + number / 2, None, "beyond") for number in range(1, 7)]
    assert curve == (Setting(2, 0.4, "conformal"), *beyond)


@pytest.mark.parametrize("rate", [0.3, 0.01])
def test_a_curve_has_what_calibration_gives_for_its_rates(rate):
    maps = np.random.default_rng(2).exponential(size=(6, 256, 256)).astype(np.float32)
    normal = [NormalMap(values, 0, "") for values in maps]
    made = calibrate(normal, Rates(rate, rate), "max", 1, curves=True)
    rule = "conformal" if rate > 1 / 7 else "extrapolated"
    assert Setting(made.thresholds.image, rate, rule) in made.curves.image
    assert Setting(made.thresholds.pixel, rate, "conformal") in made.curves.pixel
    levels = [setting.threshold for setting in made.curves.image]
    assert levels == sorted(set(levels))
    assert calibrate(normal, Rates(rate, rate), "max", 1).curves is None
    two = calibrate(normal[:2], Rates(rate, rate), "max", 1, curves=True)  # 32 blocks: no tail
    assert "extrapolated" not in {setting.rule for setting in two.curves.image}


def test_the_setting_in_use_has_its_place():
    curve = [Setting(1, 0.5, "conformal"), Setting(3, 0.2, "conformal"), Setting(5, None, "beyond")]
    used = Setting(2, 0.1, "extrapolated")  # below what is promised for .2
    assert with_setting(curve, used) == (curve[0], used, curve[2])
    highest = Setting(3, None, "highest")
    assert with_setting(curve, highest) == (curve[0], highest, curve[2])
    assert with_setting([], used) == (used,)
    same = Setting(3, 0.2, "conformal")
    assert with_setting(curve, same) == (curve[0], same, curve[2])


def test_of_equal_thresholds_no_lower_rate_is_claimed_than_is_known():
    first, second = Setting(1, 0.1, "conformal"), Setting(1, 0.05, "conformal")
    third, fourth = Setting(2, 0.02, "extrapolated"), Setting(2, 0.01, "extrapolated")
    lower = Setting(1.5, 0.005, "extrapolated")
    assert _rising([first, second, third, fourth, lower]) == (second, third)
