"""Thresholds beyond what few images promise: by hand, and the rates on draws."""

import numpy as np
import pytest
from scipy import stats

from semad.scoring import tail
from semad.scoring.calibration import calibrate
from semad.scoring.extrapolation import FewImages, few_images, prediction_limit
from semad.scoring.image_scores import top_mean
from semad.scoring.overfitting import NormalMap
from semad.scoring.rate_curves import Setting
from semad.scoring.thresholds import Rates

RATES = Rates(0.05, 0.05)


def held_out(maps):
    return [NormalMap(values, 0, "") for values in maps]


def exponential(count: int) -> np.ndarray:
    """Maps of 25 blocks each."""
    return np.random.default_rng(2).exponential(size=(count, 320, 320)).astype(np.float32)


def level_beyond_blocks(maps: np.ndarray, rate: float) -> float:
    blocks = np.concatenate([tail.block_scores(values, 1) for values in maps])
    return tail.quantile(blocks, 1 - (1 - rate) ** (1 / 25))


def test_the_highest_region_follows_the_tail_of_blocks():
    """Of six images: nothing below 14 % can be promised."""
    maps = exponential(6)
    made = calibrate(held_out(maps), RATES, "max", 1)
    assert made.record["rule"] == "extrapolated"
    assert made.thresholds.image == made.thresholds.core == level_beyond_blocks(maps, 0.05)
    assert made.record["tail"] == tail.check([tail.block_scores(values, 1) for values in maps])


def test_two_poolings_have_half_of_the_rate_each():
    maps = exponential(6)
    made = calibrate(held_out(maps), RATES, "several", 1)
    assert (made.record["rule"], made.record["pooling"]) == ("extrapolated", "several")
    highest = level_beyond_blocks(maps, 0.025)
    tops = np.array([top_mean(values, 0.03) for values in maps])
    top = tops.mean() + 2.5706 * tops.std(ddof=1) * np.sqrt(7 / 6)  # Student's t of 5 degrees
    assert made.thresholds.core == pytest.approx(highest, rel=1e-6)
    # An image at either level is at the threshold: 1.96 deviations, 2.5 % of a normal distribution.
    assert made.thresholds.image == pytest.approx(1.95996, rel=1e-4)
    (_, location), (_, scale) = made.scorer.scales
    assert location == pytest.approx(np.median(tops))
    assert location + made.thresholds.image * scale == pytest.approx(top, rel=1e-4)


def test_a_mean_is_taken_as_normally_distributed():
    """Levels 0, 1, 2: mean and standard deviation 1, and t of 2 degrees is 2.92 at 5 %."""
    maps = held_out(np.full((4, 4), float(level)) for level in range(3))
    made = calibrate(maps, RATES, "mean", 1)
    assert (made.record["rule"], made.record["tail"]) == ("extrapolated", None)
    assert made.thresholds.image == pytest.approx(1 + 2.91999 * np.sqrt(4 / 3), rel=1e-5)
    # So is the highest region where blocks are too few for their tail: here one in each image.
    assert calibrate(maps, RATES, "max", 1).thresholds.image == made.thresholds.image


def test_what_cannot_be_extrapolated_is_the_highest_score():
    maps = held_out(np.full((4, 4), float(level)) for level in range(3))
    for pooling in ("mean", "max", "several"):
        made = calibrate(maps[1:], RATES, pooling, 1)
        assert made.record["rule"] == "highest"
        assert made.record["pooling"] == ("max" if pooling == "several" else pooling)
        assert made.thresholds.image == 2
    assert calibrate(maps, Rates(0.0, 0.05), "max", 1).thresholds.image == 2


def test_parts_of_images_do_not_tell_how_whole_ones_vary():
    maps = exponential(6)
    made = calibrate(held_out(maps), RATES, "several", 1, part=0.5)
    assert (made.record["pooling"], made.record["models"]) == ("max", {"max": "blocks"})
    assert made.thresholds.image == level_beyond_blocks(maps, 1 - 0.95**0.5)
    assert calibrate(held_out(maps[:2]), RATES, "several", 1).record["pooling"] == "max"
    assert few_images(maps, maps.mean(axis=(1, 2))[:, None], "mean", 1, part=0.5).models is None


def test_equal_images_have_a_threshold():
    maps = held_out(np.full((4, 4), 2.0) for _ in range(3))
    made = calibrate(maps, RATES, "several", 1)
    assert made.scorer(np.full((4, 4), 2.0)) == made.thresholds.image == 0
    assert made.scorer(np.full((4, 4), 2.5)) > 0
    # Where only the means are equal, any other mean is above the threshold.
    tops = np.array([[1.0, 10.0], [2.0, 10.0], [3.0, 10.0]])
    few = FewImages("several", tops, [], 1.0, 1)
    scorer = few.scorer(0.05)
    assert scorer.of_levels(np.array([[2.0, 10.001]])) > few.threshold(scorer, 0.05)


@pytest.mark.parametrize("rate", [0.02, 0.01])
def test_curves_have_the_extrapolated_threshold(rate):
    made = calibrate(held_out(exponential(6)), Rates(rate, 0.05), "several", 1, curves=True)
    setting = next(s for s in made.curves.image if s.rate == rate)
    assert setting == Setting(pytest.approx(made.thresholds.image), rate, "extrapolated")
    assert [s.rule for s in made.curves.image].count("extrapolated") > 5
    # The rate in use does not matter to what the curve says of others.
    other = calibrate(held_out(exponential(6)), Rates(0.2, 0.05), "max", 1, curves=True)
    same = calibrate(held_out(exponential(6)), Rates(rate, 0.05), "max", 1, curves=True)
    assert other.curves.image == same.curves.image


@pytest.mark.parametrize("count", [3, 5, 12])
def test_a_prediction_limit_keeps_its_rate(count):
    draws = np.random.default_rng(0).normal(size=(20_000, count + 1))
    above = [row[-1] > prediction_limit(row[:-1], 0.05) for row in draws]
    assert np.mean(above) == pytest.approx(0.05, abs=0.006)
    assert prediction_limit(np.array([0.0, 2.0]), 0.05) == pytest.approx(
        1 + stats.t.isf(0.05, 1) * np.sqrt(2) * np.sqrt(1.5)
    )


@pytest.mark.parametrize("shift", [0.0, 0.5])
def test_both_poolings_together_keep_the_rate_on_draws(shift):
    """Images of 16 blocks of skewed noise, that differ in brightness or not."""
    draw = np.random.default_rng(3)
    above = []
    for _ in range(40):
        maps = draw.gumbel(size=(25, 64, 64)) + draw.normal(0, shift, (25, 1, 1))
        made = calibrate(held_out(maps[:5]), Rates(0.1, 0.1), "several", 1)
        above += [made.scorer(values) > made.thresholds.image for values in maps[5:]]
    assert 0.02 < np.mean(above) < 0.13
