"""Populations of training tricks: who the members are, and that each is what it is alone."""

import jax
import numpy as np
import pytest

from semad.adversarial import COMBINATIONS
from semad.config import combinations
from semad.errors import UserError
from semad.evaluation.results import summary
from semad.population import Member, hparams, members, same_program
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
    assert members(run.config) == [
        Member(seed, tricks) for tricks in ("none", "IN+LF") for seed in (5, 6)
    ]
    scalars = hparams(run.config, run.method)
    np.testing.assert_array_equal(scalars["trick_IN"], [0, 0, 1, 1])
    np.testing.assert_array_equal(scalars["trick_SL"], [0, 0, 0, 0])
    np.testing.assert_array_equal(scalars["trick_LF"], [0, 0, 1, 1])
    np.testing.assert_allclose(scalars["lr_generator"], [2e-4] * 4)


POINTS = "lr.generator=1e-4; lr.generator=3e-4,lr.discriminator=1e-3"


def test_members_at_points():
    run = tiny.prepare("anogan", population__points=POINTS, population__tricks="none,LF")
    assert [one.variant for one in members(run.config)] == [
        "none lr.generator=1e-4",
        "LF lr.generator=1e-4",
        "none lr.generator=3e-4,lr.discriminator=1e-3",
        "LF lr.generator=3e-4,lr.discriminator=1e-3",
    ]
    scalars = hparams(run.config, run.method)
    np.testing.assert_allclose(scalars["lr_generator"], [1e-4, 1e-4, 3e-4, 3e-4])
    np.testing.assert_allclose(scalars["lr_discriminator"], [1e-4, 1e-4, 1e-3, 1e-3])
    np.testing.assert_array_equal(scalars["trick_LF"], [0, 1, 0, 1])


@pytest.mark.parametrize(
    ("method", "points", "says"),
    [
        ("anogan", "lr.decoder=1e-4", "may differ in the numbers of: lr.discriminator, lr.encod"),
        ("anogan", "model.width=0.5", "make separate runs"),
        ("anogan", "lr.generator=fast", "must be a float"),
        ("anogan", "lr.generator=11", "must be between 0 and 10"),
        ("anogan", "lr.generator=1e-4;lr.generator=1e-4", "names a point twice"),
        ("fanogan", "loss.clip=0.5", "makes another program of fanogan"),
    ],
)
def test_points_that_are_not(method, points, says):
    changes = {"loss__objective": "wgan"} if method == "fanogan" else {}
    with pytest.raises(UserError, match=says):
        tiny.prepare(method, population__points=points, **changes)


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({"lr__generator": 0.1, "lr__encoder": 0.2}, True),
        ({"loss__feature_matching": 0.5}, True),
        ({"model__latent_dim": 4}, False),
        ({"model__leaky_slope": 0.1}, False),
        ({"optim__beta1": 0.9}, False),
        ({"train__batch_size": 8}, False),
        ({"train__epochs": 2}, False),
    ],
)
def test_what_a_population_can_hold(changes, same):
    assert same_program(tiny.config("bigan"), tiny.config("bigan", **changes)) == same


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


@pytest.mark.parametrize("together", [1, 2, 3])
def test_a_member_at_a_point_is_what_it_is_alone(tmp_path, together):
    points = "lr.generator=1e-3;lr.generator=2e-2;lr.generator=3e-2"
    run = tiny.prepare("anogan", population__points=points, population__together=together)
    state = loop.train(tiny.with_gradient_descent(run), tmp_path / "all")
    trained = member(state, 1).weights.params
    one = tiny.prepare("anogan", population__points="lr.generator=2e-2")
    alone = loop.train(tiny.with_gradient_descent(one), tmp_path / "one")
    pairs = zip(
        jax.tree.leaves(trained), jax.tree.leaves(member(alone, 0).weights.params), strict=True
    )
    for a, b in pairs:
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def figures(tricks, auroc):
    one = dict.fromkeys(("auroc", "average_precision", "precision", "recall", "f1"), auroc)
    return {"seed": 0, "tricks": tricks, "point": ""} | one | {"scores": {"s": dict(one)}}


def test_tricks_are_summed_up_apart():
    members = [figures("none", 0.5), figures("none", 0.7), figures("LF", 0.1), figures("LF", 0.3)]
    result = summary(members, "normal_quantile")
    assert result["auroc"] == pytest.approx(0.6)
    assert result["by_variant"]["LF"]["mean"]["auroc"] == pytest.approx(0.2)
    assert result["by_variant"]["none"]["std"]["auroc"] == pytest.approx(0.2 / 2**0.5)
    assert result["members"] == members
