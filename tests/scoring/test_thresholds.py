"""Split-conformal thresholds: by hand, and the promise on draws."""

import numpy as np
import pytest

from semad.scoring.thresholds import achieved, conformal, share_above, threshold

RNG = np.random.default_rng(1)


@pytest.fixture(autouse=True)
def same_draws():
    """Each test draws the same, whichever ran before it."""
    RNG.bit_generator.state = np.random.default_rng(1).bit_generator.state


@pytest.mark.parametrize(
    ("count", "rate", "expected"),
    [(19, 0.05, 19), (20, 0.05, 20), (39, 0.05, 38), (99, 0.1, 90), (4, 0.2, 4), (5, 1.0, 1)],
)
def test_the_rank_by_hand(count, rate, expected):
    """⌈(n + 1)(1 − α)⌉ of the scores 1 … n."""
    assert conformal(RNG.permutation(np.arange(1.0, count + 1)), rate) == expected


def test_too_few_scores_give_the_largest():
    assert conformal(np.arange(5.0), 0.05) == 4


@pytest.mark.parametrize("rate", [0.05, 0.2])
def test_a_new_normal_score_exceeds_it_at_most_at_the_rate(rate):
    draws = RNG.normal(size=(20_000, 31))
    limits = np.array([conformal(row[:30], rate) for row in draws])
    share = (draws[:, 30] > limits).mean()
    # Exactly ⌊31 α⌋ / 31 for scores without ties.
    assert share == pytest.approx(np.floor(31 * rate) / 31, abs=0.01)


def test_rules():
    holdout, test = np.arange(100.0), np.arange(1000.0)
    assert threshold("normal_quantile", 0.05, holdout, test) == 95
    assert threshold("transductive", 0.05, holdout, test) == pytest.approx(949.05)


def test_leaving_one_image_out_by_hand():
    """Of three images, two alike and one far above: it exceeds the threshold of the others."""
    groups = [np.arange(20.0), np.arange(20.0), np.arange(20.0) + 100]
    found = achieved(groups, 0.1)
    # The first two stay below a limit that the third raises; the third lies wholly above.
    assert found["achieved"] == pytest.approx(1 / 3)
    low, high = found["interval"]
    assert (low, high) == (0, 1)  # Student's interval of (0, 0, 1) is wider than all there is
    assert achieved(groups[:1], 0.1) is None
    # Of two images each is held against the other: rank 19 of 20 is 18, and 19 lies above it.
    assert achieved(groups[:2], 0.1)["achieved"] == pytest.approx(1 / 20)


def test_intervals():
    """Student's: mean ± 4.303 s / √3 for three images; of single scores a binomial's."""
    groups = [np.array([0.0] * (100 - k) + [1.0] * k) for k in (4, 5, 6)]
    found = share_above(groups, [0.5] * 3)
    assert found["achieved"] == pytest.approx(0.05)
    half = 4.30265 * 0.01 / np.sqrt(3)
    assert found["interval"] == pytest.approx([0.05 - half, 0.05 + half], abs=1e-6)
    single = share_above([np.array([float(k < 1)]) for k in range(10)], [0.5] * 10)
    assert single["achieved"] == pytest.approx(0.1)
    assert single["interval"] == pytest.approx([0.002529, 0.445016], abs=1e-5)  # Clopper-Pearson
    assert share_above([np.zeros(4)], [0.0]) == {"achieved": 0.0, "interval": None}
    # Two images are enough: shares 0 and 0.02, and 12.706 = t(0.975) of one degree of freedom.
    found = share_above([np.zeros(50), np.array([0.0] * 49 + [1.0])], [0.5] * 2)
    assert found["interval"] == pytest.approx([0, 0.01 + 12.7062 * 0.01], abs=1e-6)


def test_a_score_at_the_limit_is_not_above_it():
    assert share_above([np.array([1.0, 2.0, 3.0, 4.0])], [3.0])["achieved"] == 0.25


def test_a_limit_for_each_group():
    with pytest.raises(ValueError, match="shorter"):
        share_above([np.zeros(2), np.zeros(2)], [0.5])
