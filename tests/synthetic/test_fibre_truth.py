"""The truth of drawn fibres, by hand; images are as they were before it was kept."""

import hashlib

import numpy as np
import pytest

from semad.data.sources.nanofibres import _generator, draw, render
from semad.fibres import measure
from semad.fibres.tally import add, summarise
from semad.synthetic import fibres
from semad.synthetic.fibre_truth import visible


def fibre(point, direction, half_width):
    return fibres.Fibre(np.array(point), np.array(direction), 0.0, 0.0, half_width, 0.9)


def test_a_fibre_is_hidden_where_another_lies_on_it():
    below, above = fibre((50, 50), (1.0, 0.0), 5.0), fibre((50, 50), (0.0, 1.0), 10.0)
    canvas = fibres.draw_layer(fibres.blank(100), [below, above], 0.0)
    truth = visible(canvas)
    assert (truth.diameters == 20).sum() == 100
    assert (truth.diameters == 10).sum() == pytest.approx(80, abs=2)
    assert set(truth.angles[truth.diameters == 10]) == {0}
    assert set(truth.angles[truth.diameters == 20]) == {90}
    bare = 1 - (10 * 100 + 20 * 100 - 10 * 20) / 100**2
    assert truth.porosity == pytest.approx(bare, abs=0.02)


def test_whole_sections_are_fewer_than_centres():
    below, beside = fibre((50, 50), (1.0, 0.0), 8.0), fibre((50, 58), (1.0, 0.0), 4.0)
    canvas = fibres.draw_layer(fibres.blank(100), [below, beside], 0.0)
    assert (visible(canvas).diameters == 16).sum() == 0
    assert (visible(canvas, whole=False).diameters == 16).sum() == 100


def test_angles_rise_to_the_right():
    half = np.sqrt(0.5)
    canvas = fibres.draw_layer(fibres.blank(80), [fibre((40, 40), (half, -half), 4.0)], 0.0)
    np.testing.assert_allclose(visible(canvas).angles, 45)


def test_images_are_as_they_were():
    digest = hashlib.sha256()
    for number in range(2):
        image, mask = render(_generator(number, 1, number), 96, anomalous=number == 1)
        digest.update(image.tobytes() + mask.tobytes())
    assert digest.hexdigest() == "477574c3cc14a3c27ade99b7369d5ed721bd40bdb2e5b88c122d1519e57eef57"


def test_what_is_measured_is_what_is_true():
    truth, counts = [], []
    for seed in range(3):
        rng = _generator(seed, 0, 0)
        canvas = draw(rng, 384, anomalous=False)
        truth.append(visible(canvas).diameters)
        counts.append(measure(fibres.develop(canvas, rng)).counts)
    lower, median, upper = np.percentile(np.concatenate(truth), [25, 50, 75])
    measured = summarise(add(counts)).diameter
    assert measured.median == pytest.approx(median, rel=0.05)
    assert measured.upper - measured.lower == pytest.approx(upper - lower, rel=0.1)
