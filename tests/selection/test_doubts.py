"""When the validator's figure must not be believed, each reason provoked."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from semad.selection.doubts import AGREEMENTS, doubts
from semad.selection.validator import rank, try_on

RESULTS = Path(__file__).resolve().parents[2] / "experiments" / "results"
RNG = np.random.default_rng(0)


def textures(plain=0.0):
    """Images of noise beside a plain background of a share of the columns."""
    for _ in range(3):
        image = np.full((96, 128, 1), 30, np.uint8)
        start = round(plain * 128)
        image[:, start:] = RNG.integers(90, 160, (96, 128 - start, 1))
        yield image


def said(normal, mapper, excluded=()):
    trial = try_on(mapper, normal)
    chosen = rank(trial, smoothings=(0.0,), excluded_families=excluded)[0]
    return doubts(trial, chosen, normal, excluded)


def oracle(normal):
    """Finds what was planted, by comparison with the image before."""

    def mapper(images):
        for image in images:
            nearest = min(normal, key=lambda one: (image != one).sum())
            yield {"oracle": np.abs(image.astype(float) - nearest)[..., 0]}

    return mapper


def test_nothing_to_doubt():
    normal = list(textures())
    assert said(normal, oracle(normal)) == []


def test_a_statistic_that_does_as_well():
    """A detector that sees nothing."""
    normal = list(textures())
    blind = lambda images: ({"blind": RNG.random(image.shape[:2])} for image in images)  # noqa: E731
    (sentence,) = said(normal, blind)
    assert "learns nothing, finds the planted defects nearly as well" in sentence


def test_either_sign_counts():
    normal = list(textures())
    bright = lambda images: ({"grey": image[..., 0].astype(float)} for image in images)  # noqa: E731
    families = {
        "film",
        "bead",
        "clot",
        "speck",
        "cutpaste",
        "texture",
    }  # blur is left: low contrast
    (sentence,) = said(normal, bright, families)
    assert "figure must not be believed: inverted local minimum, which learns nothing" in sentence


def test_a_background():
    normal = list(textures(plain=0.6))
    (sentence,) = said(normal, oracle(normal))
    assert "% of the pixels of normal images are plain, as a background is" in sentence


@pytest.mark.parametrize("agreement", AGREEMENTS, ids=lambda one: one.dataset)
def test_agreements_are_those_of_the_recorded_runs(agreement):
    """The interval by Fisher's transformation, by hand."""
    values = []
    for path in RESULTS.glob("run_pixel_*.json"):
        result = json.loads(path.read_text())
        if result["selection"] and result["dataset"].startswith(agreement.dataset.lower()):
            values.append((result["selection"]["chosen"]["value"], result["average_precision"]))
    assert len(values) == agreement.runs
    rho = stats.spearmanr(*zip(*values, strict=True)).statistic
    assert agreement.rho == pytest.approx(rho, abs=0.006)
    half = 1.96 / np.sqrt(agreement.runs - 3)
    ends = np.tanh(np.arctanh(rho) + half * np.array([-1, 1]))
    assert agreement.interval == pytest.approx(ends, abs=0.006)
