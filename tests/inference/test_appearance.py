"""How an image differs from normal ones, each way provoked."""

import numpy as np
import pytest
from scipy import ndimage

from semad.inference.appearance import appearance, differences


def picture(seed, noise=4.0, wave=16.0):
    draw = np.random.default_rng(seed)
    y, x = np.mgrid[:96, :120]
    grey = 120 + 40 * np.sin(2 * np.pi * (x + y + seed) / wave)
    noisy = grey + draw.normal(0, noise, grey.shape)
    return np.clip(noisy, 0, 255).round().astype(np.uint8)[..., None]


NORMAL = [appearance(picture(seed)) for seed in range(6)]


def test_statistics_by_hand():
    found = appearance(picture(0, noise=4.0))
    assert found.brightness == pytest.approx(120 / 255, abs=0.01)
    assert found.contrast == pytest.approx(np.hypot(40 / np.sqrt(2), 4) / 255, abs=0.005)
    assert found.noise == pytest.approx(4 / 255, rel=0.1)
    wide = appearance((picture(0).astype(np.uint16) * 257).repeat(3, axis=2))
    assert wide == pytest.approx(found, rel=1e-6)
    flat = appearance(np.full((40, 50, 1), 7, np.uint8))
    assert (flat.contrast, flat.noise) == pytest.approx((0, 0), abs=1e-9)
    assert flat.scale == 50


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        (lambda x: x * 0.3, "darker (mean grey value 0.1"),
        (lambda x: x * 0.5 + 127, "brighter (mean grey value"),
        (lambda x: (x - 120) * 0.3 + 120, "lower in contrast (deviation of grey values"),
        (lambda x: ndimage.gaussian_filter(x, (3, 3, 0)), "more blurred (blur"),
        (lambda x: x + np.random.default_rng(0).normal(0, 20, x.shape), "noisier (deviation of"),
        (lambda x: picture(1, wave=5.0), "of finer structure (mean wavelength in pixels"),
    ],
)
def test_each_difference_is_named(changed, says):
    image = np.clip(changed(picture(9).astype(float)), 0, 255).astype(np.uint8)
    assert any(text.startswith(says) for text in differences(image, NORMAL))


def test_another_normal_image_is_like_them():
    assert differences(picture(42), NORMAL) == []
