"""Populations of training tricks: who the members are, and that each is what it is alone."""

import jax
import numpy as np
import pytest

from semad import experiment
from semad.adversarial import COMBINATIONS
from semad.config import combinations
from semad.errors import UserError
from semad.evaluation.results import summary
from semad.training import loop
from semad.training.state import member
from tests import tiny


def test_combinations():
    assert combinations("none") == ["none"]
    assert combinations("all") == list(COMBINATIONS)
    assert combinations("('IN', 'SL+LF')") == combinations("IN,SL+LF") == ["IN", "SL+LF"]


@pytest.mark.parametrize("tricks", ["XX", "IN,IN", "", "IN+LF+SL"])
def test_combinations_that_are_not(tricks):
    with pytest.raises(UserError, match="config.population.tricks"):
        combinations(tricks)


def test_members_and_their_switches():
    run = tiny.prepare("anogan", seed=5, population__seeds=2, population__tricks="none,IN+LF")
    assert experiment.members(run.config) == [(5, "none"), (6, "none"), (5, "IN+LF"), (6, "IN+LF")]
    hparams = experiment.hparams(run.config, run.method)
    np.testing.assert_array_equal(hparams["trick_IN"], [0, 0, 1, 1])
    np.testing.assert_array_equal(hparams["trick_SL"], [0, 0, 0, 0])
    np.testing.assert_array_equal(hparams["trick_LF"], [0, 0, 1, 1])
    np.testing.assert_allclose(hparams["lr_generator"], [2e-4] * 4)


def test_a_system_without_a_game_has_no_tricks():
    with pytest.raises(UserError, match="autoencoder has none of the thesis' tricks"):
        tiny.prepare("autoencoder", population__tricks="all")


def test_a_member_with_tricks_trains_otherwise_and_its_neighbour_as_ever(tmp_path):
    run = tiny.prepare("anogan", population__tricks="none,IN,SL,LF")
    together = loop.train(run, tmp_path / "together")
    alone = loop.train(tiny.prepare("anogan"), tmp_path / "alone")
    plain, *others = (jax.tree.leaves(member(together, n).weights.params) for n in range(4))
    for a, b in zip(plain, jax.tree.leaves(member(alone, 0).weights.params), strict=True):
        np.testing.assert_array_equal(a, b)
    for other in others:
        assert any((a != b).any() for a, b in zip(plain, other, strict=True))


def figures(tricks, auroc):
    one = dict.fromkeys(("auroc", "average_precision", "precision", "recall", "f1"), auroc)
    return {"tricks": tricks} | one | {"scores": {"s": dict(one)}}


def test_tricks_are_summed_up_apart():
    members = [figures("none", 0.5), figures("none", 0.7), figures("LF", 0.1), figures("LF", 0.3)]
    result = summary(members, "normal_quantile")
    assert result["auroc"] == pytest.approx(0.6)
    assert result["by_tricks"]["LF"]["mean"]["auroc"] == pytest.approx(0.2)
    assert result["by_tricks"]["none"]["std"]["auroc"] == pytest.approx(0.2 / 2**0.5)
    assert result["members"] == members
