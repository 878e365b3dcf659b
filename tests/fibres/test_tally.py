"""Counts, and what they say; counts of images add up."""

import json

import numpy as np
import pytest

from semad.fibres.tally import Distribution, Tally, add, distribution, summarise, tally

NONE = np.zeros(0)


def of(diameters, angles=None, pixels=100, pore_pixels=25, pores=NONE):
    angles = np.zeros(len(diameters)) if angles is None else np.array(angles, float)
    return tally(np.array(diameters, float), angles, pixels, pore_pixels, pores)


def test_quartiles_and_mode_by_hand():
    values = np.concatenate([np.linspace(4, 8, 4001), np.full(3000, 10.0)])
    found = distribution(of(values).diameters)
    for value, share in ((found.lower, 25), (found.median, 50), (found.upper, 75)):
        assert value == pytest.approx(np.percentile(values, share), rel=0.011)
    assert found.mode == pytest.approx(10, rel=0.02)
    assert found.samples == 7001


def test_directions_are_axial():
    summary = summarise(of([5] * 4, [170, 10, 175, 5]))
    assert min(summary.direction, 180 - summary.direction) == pytest.approx(0, abs=1e-6)
    expected = (np.cos(np.radians(20)) + np.cos(np.radians(10))) / 2
    assert summary.order == pytest.approx(expected)
    assert summarise(of([5] * 2, [0, 90])).order == pytest.approx(0, abs=1e-12)


def test_sums_are_those_of_all_samples():
    rng = np.random.default_rng(0)
    diameters, angles = rng.uniform(3, 30, 500), rng.uniform(0, 180, 500)
    parts = [of(diameters[:100], angles[:100]), of(diameters[100:], angles[100:], 300, 15)]
    whole = of(diameters, angles, 400, 40)
    together = add([Tally(**json.loads(json.dumps(part._asdict()))) for part in parts])
    assert together._replace(axis=[]) == whole._replace(axis=[])
    assert together.axis == pytest.approx(whole.axis)
    assert summarise(together).porosity == pytest.approx(0.1)


def test_nothing_to_tell():
    summary = summarise(of([], pixels=0, pore_pixels=0))
    assert summary.diameter == summary.pore == Distribution(0)
    assert (summary.direction, summary.order, summary.porosity) == (None, None, None)
