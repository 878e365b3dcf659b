"""Populations of training tricks: who the members are, and that each is what it is alone."""

import jax
import numpy as np
import pytest

from semad.config.settings import resolve, trick_combinations
from semad.errors import UserError
from semad.evaluation.results import summary
from semad.losses.adversarial import COMBINATIONS
from semad.run.population import Member, members_in_use, population, same_program
from semad.run.state import init_population, member
from semad.run.system import scoring_state
from semad.scoring.batched import make_scorer
from semad.training import loop
from tests import tiny


def test_combinations():
    assert trick_combinations("none") == ["none"]
    assert trick_combinations("all") == list(COMBINATIONS)
    for text in ("('IN', 'SL+LF')", "IN,SL+LF"):
        assert trick_combinations(text) == ["IN", "SL+LF"]


@pytest.mark.parametrize("tricks", ["XX", "IN,IN", "", "IN+LF+SL"])
def test_combinations_that_are_not(tricks):
    with pytest.raises(UserError, match="config.population.tricks"):
        trick_combinations(tricks)


def test_members_and_their_tricks():
    run = tiny.prepare("anogan", seed=5, population__seeds=2, population__tricks="none,IN+LF")
    assert run.system.members == population(run.settings)
    assert run.system.members == [
        Member(seed, tricks) for tricks in ("none", "IN+LF") for seed in (5, 6)
    ]
    assert run.system.seeds == [5, 6, 5, 6]
    scalars = run.system.hparams
    np.testing.assert_array_equal(scalars["trick_IN"], [0, 0, 1, 1])
    np.testing.assert_array_equal(scalars["trick_SL"], [0, 0, 0, 0])
    np.testing.assert_array_equal(scalars["trick_LF"], [0, 0, 1, 1])
    np.testing.assert_allclose(scalars["lr_generator"], [2e-4] * 4)


POINTS = "lr.generator=1e-4; lr.generator=3e-4,lr.discriminator=1e-3"


def test_members_at_points():
    run = tiny.prepare("anogan", population__points=POINTS, population__tricks="none,LF")
    assert [one.variant for one in run.system.members] == [
        "none lr.generator=1e-4",
        "LF lr.generator=1e-4",
        "none lr.generator=3e-4,lr.discriminator=1e-3",
        "LF lr.generator=3e-4,lr.discriminator=1e-3",
    ]
    scalars = run.system.hparams
    np.testing.assert_allclose(scalars["lr_generator"], [1e-4, 1e-4, 3e-4, 3e-4])
    np.testing.assert_allclose(scalars["lr_discriminator"], [1e-4, 1e-4, 1e-3, 1e-3])
    np.testing.assert_array_equal(scalars["trick_LF"], [0, 1, 0, 1])


@pytest.mark.parametrize(
    ("method", "points", "says"),
    [
        ("anogan", "lr.decoder=1e-4", "may differ in the values of: lr.discriminator, lr.encod"),
        ("anogan", "model.width=0.5", "make separate runs"),
        ("anogan", "lr.generator=fast", "must be a float"),
        ("anogan", "lr.generator=11", "must be between 0 and 10"),
        ("anogan", "lr.generator=1e-4;lr.generator=1e-4", "names a point twice"),
        ("fanogan", "loss.clip=0.5", "values of: loss.kappa, loss.penalty, lr.*make separate runs"),
        ("ebgan", "loss.margin=10", "values of: loss.penalty, loss.pull_away, lr.*make separate"),
    ],
)
def test_points_that_are_not(method, points, says):
    changes = {"loss__objective": "wgan"} if method == "fanogan" else {}
    with pytest.raises(UserError, match=says):
        tiny.prepare(method, population__points=points, **changes)


@pytest.mark.parametrize(
    ("method", "changes", "same"),
    [
        ("bigan", {}, True),
        ("bigan", {"lr__generator": 0.1, "lr__encoder": 0.2}, True),
        ("bigan", {"loss__feature_matching": 0.5}, True),
        ("fanogan", {"loss__kappa": 0.5}, True),
        ("vae", {"loss__beta": 0.5}, True),
        ("bigan", {"model__latent_dim": 4}, False),
        ("bigan", {"model__leaky_slope": 0.1}, False),
        ("bigan", {"optim__beta1": 0.9}, False),
        ("bigan", {"train__batch_size": 8}, False),
        ("bigan", {"train__epochs": 2}, False),
        ("bigan", {"lr__generator": 0.1, "optim__beta1": 0.9}, False),
        ("fanogan", {"loss__clip": 0.5}, False),
        ("ebgan", {"loss__margin": 10.0}, False),
    ],
)
def test_what_a_population_can_hold(method, changes, same):
    one, other = (resolve(tiny.config(method, **own)) for own in ({}, changes))
    assert same_program(one, other) == same_program(other, one) == same


def test_systems_of_other_keys_are_no_population():
    assert not same_program(resolve(tiny.config("bigan")), resolve(tiny.config("ali")))
    assert not same_program(resolve(tiny.config("vae")), resolve(tiny.config("bigan")))


def test_the_weights_of_scores_are_scalars_of_members():
    """κ and β weigh terms of the score too: each member scores by its own."""
    run = tiny.prepare("fanogan", population__points="loss.kappa=0.5;loss.kappa=2")
    np.testing.assert_allclose(run.system.hparams["kappa"], [0.5, 2])
    points = "loss.beta=0;loss.beta=2"
    run = tiny.prepare("vae", population__points=points, model__init="xavier")
    np.testing.assert_allclose(run.system.hparams["beta"], [0, 2])
    state = init_population(run.method, run.system.seeds)
    scorer, patches = make_scorer(run.method), run.source.train[0][None]
    found = [
        scorer(scoring_state(run.system, state, number), patches).scores for number in range(2)
    ]
    apart = [float(scores["elbo"][0] - scores["l2"][0]) for scores in found]
    divergence = float(found[1]["divergence"][0])
    assert divergence > 1e-4
    assert apart == [pytest.approx(0, abs=1e-6), pytest.approx(2 * divergence, rel=1e-3)]


def test_which_members_score():
    plain = population(resolve(tiny.config("anogan", population__seeds=3)))
    assert members_in_use(plain, -1) == [0, 1, 2]
    assert members_in_use(plain, 1) == [1]
    with pytest.raises(UserError, match="config.score.member is 3, but the run has 3 members"):
        members_in_use(plain, 3)
    mixed = population(resolve(tiny.config("anogan", population__tricks="none,LF")))
    assert members_in_use(mixed, 1) == [1]
    with pytest.raises(UserError, match="trained differently.*--config.score.member, from 0 to 1"):
        members_in_use(mixed, -1)


def test_a_system_without_a_gan_loss_has_no_tricks():
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
