"""Thresholds from normal images: by hand, and the promises on draws."""

import numpy as np
import pytest

from semad.scoring import tail
from semad.scoring.calibration import calibrate
from semad.scoring.overfitting import NormalMap, as_if_unseen, measure
from semad.scoring.thresholds import Rates, Thresholds


def held_out(maps):
    return [NormalMap(values, 0, "") for values in maps]


def test_calibration_of_images():
    maps = held_out(np.full((4, 4), float(level)) for level in range(9))
    made = calibrate(maps, Rates(0.2, 0.2), "max", 1)
    # The 8th of 9 images; rank 116 of 144 pixels, 16 a level.
    assert made.thresholds == Thresholds(image=7, pixel=7, core=7)
    record = made.record
    assert (record["images"], record["lowest_rate"]) == (9, pytest.approx(0.1))
    assert (record["rule"], record["seen"], record["tail"]) == ("conformal", None, None)
    assert calibrate(maps, Rates(0.2, 0.5), "max", 1).thresholds.pixel == 4  # rank 73 of 144
    # Without the 8th or the 9th image the limit is 6, the level at rank 104 of 128.
    assert record["pixel"]["achieved"] == pytest.approx(2 / 9)


def test_the_record_of_a_calibration():
    """Three images of two parts each; the lowest rate is 1 − (3/4)²."""
    maps = held_out(np.array([[level, level]]) for level in (0.0, 1.0, 2.0))
    made = calibrate(maps, Rates(0.5, 0.25), "mean", 1, part=0.5)
    # Ranks ⌈4 · 0.5^½⌉ of 3, and ⌈7 · 0.75⌉ of 6.
    assert made.thresholds == Thresholds(2.0, 2.0, None)
    assert made.record == {
        "rate": 0.5,
        "pixel_rate": 0.25,
        "images": 3,
        "part": 0.5,
        "lowest_rate": pytest.approx(0.4375),
        "seen": None,
        "rule": "conformal",
        "tail": None,
        "pooling": "mean",
        "models": None,
        "highest": [],
        "pixel": {"achieved": pytest.approx(1 / 3), "interval": [0.0, 1.0]},
    }


def test_whole_images_keep_the_rate_that_their_parts_were_calibrated_for():
    """A whole image of four independent parts scores the highest of them."""
    draw = np.random.default_rng(1)
    parts = draw.normal(size=(1_000, 24))
    whole = draw.normal(size=(1_000, 4)).max(axis=1)
    rates = Rates(0.3, 0.05)
    limits = [
        calibrate(held_out(row[:, None, None]), rates, "max", 1, 0.25).thresholds.image
        for row in parts
    ]
    assert (whole > np.array(limits)).mean() == pytest.approx(0.3, abs=0.04)


@pytest.mark.parametrize("lower", [0.0, 2.0])
def test_what_training_saw_joins_as_if_it_had_not_been_seen(lower):
    """Maps whose lower half was held out; the upper one scores lower."""
    draw = np.random.default_rng(0)
    maps = draw.normal(size=(8, 64, 64))
    maps[:, :32] -= lower
    halves = [NormalMap(values, 32, "") for values in maps]
    made = calibrate(halves, Rates(0.2, 0.05), "max", 1, part=0.5)
    overfitting = measure(halves, 1)
    assert made.record["seen"] == overfitting._asdict()
    assert (made.record["images"], made.record["part"]) == (8, 1.0)  # whole ones
    values = np.stack([as_if_unseen(each, overfitting) for each in halves])
    assert made.thresholds.image == sorted(values.max(axis=(1, 2)))[7]
    unseen = np.sort(maps[:, 32:].ravel())
    assert made.thresholds.pixel == unseen[int(np.ceil((unseen.size + 1) * 0.95)) - 1]


def test_whole_images_that_were_held_out_are_compared_with_the_others():
    draw = np.random.default_rng(0)
    maps = [
        NormalMap(draw.normal(size=(8, 8)), 8 if number % 5 else 0, f"{number}.png")
        for number in range(60)
    ]
    made = calibrate(maps, Rates(0.05, 0.05), "max", 1)
    assert (made.record["images"], made.record["rule"]) == (60, "conformal")
    levels = [as_if_unseen(each, measure(maps, 1)).max() for each in maps]
    highest = sorted(range(60), key=lambda number: -levels[number])[:3]
    named = [each["image"] for each in made.record["highest"]]
    assert named == [f"{number}.png" for number in highest]
    assert made.thresholds.image == sorted(levels)[57]


@pytest.mark.parametrize("pooling", ["max", "several"])
def test_the_promised_rate_is_kept_on_draws(pooling):
    """Of new images 5 % are above the threshold from 59 others."""
    draw = np.random.default_rng(5)
    above = []
    for _ in range(100):
        maps = draw.normal(size=(64, 8, 8)) + draw.normal(size=(64, 1, 1))
        made = calibrate(held_out(maps[:59]), Rates(0.05, 0.05), pooling, 1)
        above += [made.scorer(values) > made.thresholds.image for values in maps[59:]]
    assert np.mean(above) == pytest.approx(0.05, abs=0.015)


@pytest.mark.parametrize("blocks", [16, 36, 170])
@pytest.mark.parametrize("shift", [0.0, 0.5])
def test_an_extrapolated_rate_is_kept_on_draws(blocks, shift):
    """The highest of six images alone would be exceeded by a seventh of new ones, and more."""
    draw = np.random.default_rng(2)
    above, higher = [], []
    for _ in range(100):
        scores = draw.gumbel(size=(106, blocks)) + draw.normal(0, shift, (106, 1))
        level = tail.quantile(scores[:6].ravel(), 1 - 0.95 ** (1 / blocks))
        new = scores[6:].max(axis=1)
        above.append((new > level).mean())
        higher.append((new > scores[:6].max()).mean())
    assert np.mean(above) == pytest.approx(0.05, abs=0.025)
    assert np.mean(higher) > 0.1


def test_blocks_of_a_map():
    values = np.zeros((128, 70), np.float32)
    values[0, 0], values[127, 69] = 3, 5
    assert tail.block_scores(values, 1).tolist() == [3, 5]
    assert tail.block_scores(values, 2).tolist() == [0, 0]
    assert tail.block_scores(np.zeros((20, 200)), 1).shape == (3,)


@pytest.mark.parametrize(("shape", "tolerance"), [(0.0, 0.05), (0.3, 0.1)])
def test_a_tail_is_found_again(shape, tolerance):
    from scipy.stats import genpareto

    scores = genpareto.rvs(shape, size=20_000, random_state=0)
    found = tail.fit(scores)
    assert found.shape == pytest.approx(shape, abs=tolerance)
    level = tail.quantile(scores, 1e-4)
    assert level == pytest.approx(genpareto.isf(1e-4, shape), rel=0.15)
    assert tail.quantile(scores, 0.5) == pytest.approx(np.median(scores), abs=1e-3)


def test_the_shape_is_bounded_and_few_blocks_have_no_tail():
    draw = np.random.default_rng(0)
    assert tail.fit(draw.pareto(0.8, 2_000)).shape == 0.5
    assert tail.fit(draw.uniform(size=2_000)).shape == 0  # its own is −1
    assert tail.fit(np.repeat([0.0, 1.0], [100, 20])).scale == 1  # all excesses alike
    assert tail.fit(np.arange(45.0)) is None
    assert tail.quantile(np.arange(45.0), 1e-3) == 44


def test_the_check_of_the_tail():
    draw = np.random.default_rng(0)
    groups = [draw.exponential(size=200) for _ in range(10)]
    found = tail.check(groups)
    assert found["asked"] == 0.02
    assert found["interval"][0] <= 0.02 <= found["interval"][1]
    odd = [*groups[:9], groups[9] + 20]  # one image is unlike the others
    assert tail.check(odd)["achieved"] > 0.05
    assert tail.check(groups[:1]) is None
