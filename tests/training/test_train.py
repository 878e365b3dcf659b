"""Whole runs of every system on tiny data: resumption, dispatch, population, divergence."""

import json
import signal

import jax
import numpy as np
import optax
import pytest

from semad import backend, experiment
from semad.errors import TrainingDiverged, UserError
from semad.training import loop
from semad.training.state import member
from tests import tiny

CPU = backend.CPU
ALL_AT_ONCE = CPU._replace(steps_per_dispatch=7, members_together=True)


def leaves(state):
    state = state._replace(key=jax.random.key_data(state.key))
    return [np.asarray(leaf) for leaf in jax.tree.leaves(state)]


def assert_same(one, other, rtol=None, atol=0.0):
    for a, b in zip(leaves(one), leaves(other), strict=True):
        if rtol is None:
            np.testing.assert_array_equal(a, b)
        else:
            np.testing.assert_allclose(a, b, rtol=rtol, atol=atol)


@pytest.fixture(scope="module", params=tiny.NAMES)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def two_epochs(name, tmp_path_factory):
    workdir = tmp_path_factory.mktemp(name)
    run = tiny.prepare(name, train__epochs=2)
    return loop.train(run, workdir), workdir


def test_a_stopped_run_goes_on_to_the_bit(name, two_epochs, tmp_path):
    loop.train(tiny.prepare(name, train__epochs=1), tmp_path)
    resumed = loop.train(tiny.prepare(name, train__epochs=2), tmp_path)
    assert_same(two_epochs[0], resumed)
    first = [json.loads(line) for line in (two_epochs[1] / "log.jsonl").read_text().splitlines()]
    second = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert first[-1]["step"] == second[-1]["step"] == int(resumed.step[0])
    losses = [key for key in first[-1] if "/loss" in key]
    assert losses
    assert [first[-1][key] for key in losses] == [second[-1][key] for key in losses]


def test_a_finished_run_is_left_as_it_is(name, two_epochs):
    state, workdir = two_epochs
    again = loop.train(tiny.prepare(name, train__epochs=2), workdir)
    assert_same(state, again)


def test_a_checkpoint_holds_the_whole_state(name, two_epochs):
    state, workdir = two_epochs
    run = tiny.prepare(name, train__epochs=2)
    assert_same(state, experiment.restore(workdir, run.config, run.method))


def with_gradient_descent(run):
    """The run with plain gradient descent: Adam turns rounding into whole steps, where a gradient
    is nothing but rounding (biases before batch normalisation)."""
    phases = tuple(
        phase._replace(updates=tuple(u._replace(optimizer=optax.identity()) for u in phase.updates))
        for phase in run.method.phases
    )
    hparams = {
        name: 1e-3 if name.startswith("lr_") else value
        for name, value in run.method.hparams.items()
    }
    return run._replace(method=run.method._replace(phases=phases, hparams=hparams))


def test_a_population_is_its_members_whatever_the_plan(name, tmp_path):
    """Two members vmapped with several steps per dispatch, against each trained alone."""
    run = with_gradient_descent(tiny.prepare(name, population__seeds=2, train__log_every=7))
    together = loop.train(run, tmp_path / "together", ALL_AT_ONCE)
    one_by_one = loop.train(run, tmp_path / "one_by_one", CPU)
    second = with_gradient_descent(tiny.prepare(name, seed=1))
    alone = loop.train(second, tmp_path / "second", CPU)
    assert_same(member(one_by_one, 1), member(alone, 0))
    assert_same(together, one_by_one, rtol=1e-4, atol=1e-6)


def test_members_differ(name, tmp_path):
    run = tiny.prepare(name, population__seeds=2, train__epochs=0)
    state = loop.train(run, tmp_path)
    params = jax.tree.leaves(member(state, 0).weights.params)
    others = jax.tree.leaves(member(state, 1).weights.params)
    assert any((a != b).any() for a, b in zip(params, others, strict=True))


def test_divergence_names_the_loss_and_keeps_the_last_checkpoint(tmp_path):
    workdir = tmp_path
    loop.train(tiny.prepare("autoencoder", train__epochs=1), workdir)
    run = tiny.prepare("autoencoder", train__epochs=2, train__log_every=100)
    bad = run.method._replace(hparams=dict.fromkeys(run.method.hparams, float("inf")))
    with pytest.raises(TrainingDiverged) as caught:
        loop.train(run._replace(method=bad), workdir)
    steps = int(experiment.restore(workdir, run.config, run.method).step[0])
    message = str(caught.value)
    # The first bad step still has a finite loss; the one behind it has not.
    assert f"the loss autoencoder/loss is nan at step {steps + 2}" in message
    assert f"the checkpoint of step {steps} is kept" in message
    assert caught.value.exit_code == 3
    assert "\n" not in message


def test_a_broken_checkpoint_is_named(tmp_path):
    loop.train(tiny.prepare("autoencoder", train__epochs=1), tmp_path)
    run = tiny.prepare("bigan", train__epochs=1)
    with pytest.raises(UserError, match="does not fit"):
        experiment.restore(tmp_path, run.config, run.method)


def test_a_stop_request_saves_and_the_run_goes_on(tmp_path, monkeypatch):
    run = tiny.prepare("autoencoder", train__epochs=2)
    whole = loop.train(run, tmp_path / "whole")

    class Impatient(loop.Log):
        def advance(self, steps):
            super().advance(steps)
            self.count = getattr(self, "count", 0) + steps
            if self.count == 3:
                signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(loop, "Log", Impatient)
    with pytest.raises(loop.Interrupted, match="stopped at step 3, saved"):
        loop.train(run, tmp_path / "stopped")
    monkeypatch.undo()
    assert_same(whole, loop.train(run, tmp_path / "stopped"))


def test_a_log_cut_short_by_a_kill_does_not_stop_a_run(tmp_path):
    loop.train(tiny.prepare("autoencoder", train__epochs=1), tmp_path)
    log = tmp_path / "log.jsonl"
    whole = log.read_text()
    log.write_text(whole + '{"phase": "autoenc')
    loop.train(tiny.prepare("autoencoder", train__epochs=2), tmp_path)
    lines = log.read_text().splitlines()
    assert whole.splitlines() == lines[: len(whole.splitlines())]
    assert all(json.loads(line)["step"] for line in lines)


def test_a_checkpoint_that_cannot_be_written_is_an_error_in_one_line(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise ValueError("RESOURCE_EXHAUSTED: No space left on device\nand more")

    monkeypatch.setattr("orbax.checkpoint.CheckpointManager.save", fail)
    with pytest.raises(UserError, match="cannot be written.*No space left on device") as caught:
        loop.train(tiny.prepare("autoencoder"), tmp_path)
    assert "\n" not in str(caught.value)
