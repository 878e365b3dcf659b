"""Budgets in steps, seconds and parameters."""

import pytest

from semad.errors import UserError
from semad.run.prepare import prepare
from semad.sweeps import budget
from tests import tiny


def test_steps_are_shared_as_the_epochs_are():
    config = tiny.config("fanogan", train__epochs=3, train__encoder_epochs=1)
    fitted = budget.fit(config, {"steps": 56.0})  # an epoch has 7
    assert (fitted.train.epochs, fitted.train.encoder_epochs) == (6, 2)
    assert prepare(fitted).total_steps == 56
    wanted = ["model.width=0.03125", "train.epochs=6", "train.encoder_epochs=2"]
    assert budget.fitted_overrides(fitted) == wanted
    assert config.train.epochs == 3


def test_a_phase_of_no_epochs_stays_one_and_others_have_one_at_least():
    config = tiny.config("fanogan", train__epochs=5, train__encoder_epochs=0)
    fitted = budget.fit(config, {"steps": 1.0})
    assert (fitted.train.epochs, fitted.train.encoder_epochs) == (1, 0)


def test_parameters_by_the_width():
    wanted = 60_000
    fitted = budget.fit(tiny.config("bigan"), {"parameters": wanted})
    assert budget.parameters(fitted) == pytest.approx(wanted, rel=0.05)
    with pytest.raises(UserError, match="cannot have 10 parameters"):
        budget.fit(tiny.config("bigan"), {"parameters": 10.0})


def test_twice_the_time_is_twice_the_epochs(monkeypatch):
    monkeypatch.setattr(budget, "_seconds_per_step", lambda run: [0.5])
    config = tiny.config("bigan")
    assert budget.fit(config, {"seconds": 7.0}).train.epochs == 2  # 7 steps of half a second
    assert budget.fit(config, {"seconds": 14.0}).train.epochs == 4


def test_a_step_takes_time():
    (seconds,) = budget._seconds_per_step(tiny.prepare("autoencoder"))
    assert 0 < seconds < 10


def test_steps_or_seconds():
    with pytest.raises(UserError, match="not of both"):
        budget.fit(tiny.config("bigan"), {"steps": 1.0, "seconds": 1.0})
