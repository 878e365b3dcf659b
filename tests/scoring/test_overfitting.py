"""What training saw, raised to the level of what it did not see: by hand, and on draws."""

import numpy as np
import pytest

from semad.scoring.calibration import calibrate
from semad.scoring.overfitting import NormalMap, Overfitting, as_if_unseen, measure
from semad.scoring.thresholds import Rates


def pixels(levels, seen):
    return [NormalMap(np.full((1, 1), float(level)), int(seen)) for level in levels]


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
    normal = NormalMap(np.array([[0.0, 1.0, 3.0], [0.0, 1.0, 3.0]]), 1)
    raised = as_if_unseen(normal, Overfitting(0.9, 0.01, 0.5, 2.0, 1.0))
    np.testing.assert_array_equal(raised, [[0.5, 1.5, 5.5], [0.0, 1.0, 3.0]])
    np.testing.assert_array_equal(normal.values[0], [0.0, 1.0, 3.0])  # which stays as it was


def test_too_little_on_a_side_says_nothing():
    maps = [NormalMap(np.zeros((64, 64)), 32)] * 2
    assert measure(maps, 1) is None
    assert measure(pixels(range(9), False), 1) is None


@pytest.mark.parametrize("name", ["normal", "gumbel"])
@pytest.mark.parametrize(("shift", "scale"), [(0, 1), (1, 1), (3, 1), (0, 0.5), (1, 0.7)])
def test_the_promised_rate_is_kept_on_draws(name, shift, scale):
    """Twelve of sixty held out; the others score lower, or are spread less."""
    draw = np.random.default_rng(7)
    above, alone = [], []
    for _ in range(150):
        levels = getattr(draw, name)(size=160)
        levels[:48] = levels[:48] * scale - shift
        maps = [*pixels(levels[:48], True), *pixels(levels[48:60], False)]
        rates = Rates(0.05, 0.05)
        for limits, those in ((above, maps), (alone, [NormalMap(m.values, 0) for m in maps])):
            limit = calibrate(those, rates, "max", 1).thresholds.image
            limits.append((levels[60:] > limit).mean())
    assert 0.02 < np.mean(above) < 0.1
    if (shift, scale) in ((3, 1), (0, 0.5)):  # taken as they are, they would promise too much
        assert np.mean(alone) > np.mean(above) + 0.04
