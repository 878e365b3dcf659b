"""The deviation of noise: of noise alone, and beside what is no noise."""

import numpy as np
import pytest

from semad.utils.noise import noise_deviation


@pytest.mark.parametrize("deviation", [0.01, 0.2])
def test_white_noise_on_a_slope_has_its_deviation(deviation):
    rng = np.random.default_rng(0)
    slope = np.add.outer(np.arange(200.0), 3 * np.arange(300.0)) / 1000
    noisy = slope + deviation * rng.standard_normal(slope.shape)
    assert noise_deviation(slope) < 1e-6  # the filter's coefficients are floats
    assert noise_deviation(noisy) == pytest.approx(deviation, rel=0.02)
