"""What training saw, raised to the level of what it did not see: by hand, and on draws."""

import numpy as np
import pytest

from semad.scoring.calibration import calibrate
from semad.scoring.overfitting import NormalMap, Overfitting, as_if_unseen, measure
from semad.scoring.thresholds import Rates


def pixels(levels, seen):
    return [NormalMap(np.full((1, 1), float(level)), int(seen), "") for level in levels]


def test_a_shift_by_hand():
    found = measure([*pixels([0, 1, 2, 3], True), *pixels([4, 6, 8], False)], 1)
    # Differences: 4 3 2 1, 6 5 4 3, 8 7 6 5. One of 35 orders has all unseen ones last.
    assert (found.auroc, found.p) == (1, pytest.approx(1 / 35))
    assert (found.shift, found.ratio, found.level) == (4.5, 1.0, 1.5)


def test_a_shift_of_few_parts_that_may_be_chance_does_not_count():
    few = measure([*pixels([0, 1, 2, 3], True), *pixels([2, 4, 6], False)], 1)
    # Of 12 pairs one ties and one is the other way round.
    assert few.auroc == pytest.approx(10.5 / 12)
    assert few.p > 0.05
    assert few.shift == 0
    many = measure([*pixels(range(10), True), *pixels(np.arange(10) + 0.5, False)], 1)
    assert many.p > 0.05
    assert many.shift == 0.5
    lower = measure([*pixels(range(10), True), *pixels(np.arange(10) - 0.5, False)], 1)
    assert lower.shift == 0


def test_a_ratio_by_hand():
    """Ten parts on each side: deviations from the median of 0.5 to 4.5, and twice as much."""
    maps = [*pixels(range(10), True), *pixels(2 * np.arange(10), False)]
    found = measure(maps, 1)
    assert (found.ratio, found.level) == (2.0, 4.5)
    fewer = measure([*pixels(range(10), True), *pixels(2 * np.arange(9), False)], 1)
    assert fewer.ratio == 1  # nine say too little
    assert measure([*pixels(range(10), True), *pixels(range(0, 90, 9), False)], 1).ratio == 3
    assert measure([*pixels(range(10), True), *pixels(np.arange(10) / 2, False)], 1).ratio == 1


def test_only_what_training_saw_is_raised_and_nothing_is_lowered():
    normal = NormalMap(np.array([[0.0, 1.0, 3.0], [0.0, 1.0, 3.0]]), 1, "")
    raised = as_if_unseen(normal, Overfitting(0.9, 0.01, 0.5, 2.0, 1.0))
    np.testing.assert_array_equal(raised, [[0.5, 1.5, 5.5], [0.0, 1.0, 3.0]])
    np.testing.assert_array_equal(normal.values[0], [0.0, 1.0, 3.0])  # which stays as it was


def test_too_little_on_a_side_says_nothing():
    maps = [NormalMap(np.zeros((64, 64)), 32, "")] * 2
    assert measure(maps, 1) is None
    assert measure(pixels(range(9), False), 1) is None


def test_parts_of_different_sizes_are_compared_by_blocks_of_one_size():
    """Of 160 rows training saw 96: no whole number of blocks of 64 in either part."""
    draw = np.random.default_rng(3)
    shifts = []
    for _ in range(6):
        maps = [NormalMap(draw.normal(size=(160, 128)), 96, "") for _ in range(20)]
        shifts.append(measure(maps, 1).shift)
    # Taken above 0 alone, they are 0 in half of all draws but for chance.
    assert np.mean(shifts) < 0.05


@pytest.mark.parametrize("name", ["normal", "gumbel"])
@pytest.mark.parametrize(
    ("shift", "scale", "low", "high", "uncorrected"),
    [
        (0, 1, 0.025, 0.05, 0.03),
        (1, 1, 0.03, 0.06, 0.08),
        (3, 1, 0.03, 0.06, 0.2),
        (0, 0.5, 0.04, 0.1, 0.11),
    ],
)
def test_the_rate_on_draws(name, shift, scale, low, high, uncorrected):
    """Twelve of sixty held out; the others score lower, or are spread less about their median."""
    draw = np.random.default_rng(7)
    above, taken_as_unseen = [], []
    for _ in range(150):
        levels = getattr(draw, name)(size=160)
        middle = np.median(levels)
        levels[:48] = (levels[:48] - middle) * scale + middle - shift
        maps = [*pixels(levels[:48], True), *pixels(levels[48:60], False)]
        unseen = [NormalMap(each.values, 0, "") for each in maps]
        for rates, those in ((above, maps), (taken_as_unseen, unseen)):
            made = calibrate(those, Rates(0.05, 0.05), "max", 1)
            assert (made.record["images"], made.record["rule"]) == (60, "conformal")
            rates.append((levels[60:] > made.thresholds.image).mean())
    assert low < np.mean(above) < high
    assert np.mean(taken_as_unseen) > uncorrected
