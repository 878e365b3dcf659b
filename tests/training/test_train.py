"""Whole runs of every system on tiny data: resumption, dispatch, population, divergence."""

import json
import signal

import jax
import numpy as np
import pytest

from semad.data.patches import steps_per_epoch
from semad.errors import TrainingDiverged, UserError
from semad.run import workdir as workdirs
from semad.run.state import member, phase_bounds
from semad.training import loop
from semad.utils import backend
from tests import tiny

CPU = backend.CPU
ALL_AT_ONCE = CPU._replace(steps_per_dispatch=7, narrow_members_together=True)


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


def long_run(name):
    """Two epochs, in as many phases as the system has, but at least one of each."""
    return tiny.prepare(name, train__epochs=2 if len(tiny.BUILT[name].phases) == 1 else 1)


@pytest.fixture(scope="module")
def run(name):
    return long_run(name)


@pytest.fixture(scope="module")
def whole(name, run, tmp_path_factory):
    workdir = tmp_path_factory.mktemp(name)
    return loop.train(run, workdir), workdir


def stop_after(monkeypatch, steps):
    """Makes a run receive SIGTERM after that many steps."""

    class Impatient(loop.Log):
        def advance(self, count):
            super().advance(count)
            self.count = getattr(self, "count", 0) + count
            if self.count == steps:
                signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(loop, "Log", Impatient)


def test_a_stopped_run_goes_on_to_the_bit(name, whole, tmp_path, monkeypatch):
    """Train N, stop, resume: in the middle of a phase, of the second one of three."""
    steps = int(whole[0].step[0]) // 3 + 1
    stop_after(monkeypatch, steps)
    with pytest.raises(loop.Interrupted, match=f"stopped at step {steps}, saved"):
        loop.train(long_run(name), tmp_path)
    monkeypatch.undo()
    resumed = loop.train(long_run(name), tmp_path)
    assert_same(whole[0], resumed)
    first = [json.loads(line) for line in (whole[1] / "log.jsonl").read_text().splitlines()]
    second = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert first[-1]["step"] == second[-1]["step"] == int(resumed.step[0])
    losses = [key for key in first[-1] if "/loss" in key]
    assert losses
    assert [first[-1][key] for key in losses] == [second[-1][key] for key in losses]


def test_every_phase_is_trained_for_its_epochs(run, whole):
    lines = [json.loads(line) for line in (whole[1] / "log.jsonl").read_text().splitlines()]
    assert run.steps_per_epoch == steps_per_epoch(run.sampling, run.train.pixels.shape[0])
    assert run.phases == phase_bounds(run.method, run.steps_per_epoch)
    for phase, _, end in run.phases:
        last = [line for line in lines if line["phase"] == phase.name][-1]
        assert (last["step"], last["epoch"]) == (end, phase.epochs)


# How often a step runs an update, where it is not once by default.
REPEATS = {("fanogan", "discriminator"): 5} | {
    (name, "generator"): 3 for name in ("ebgan", "encebgan", "sencebgan")
}


def test_every_update_ran_as_often_as_the_steps_say(name, run, whole):
    state, _ = whole
    for phase, start, end in run.phases:
        for update in phase.updates:
            count = int(state.opt_state[update.name].count[0])
            assert count == (end - start) * REPEATS.get((name, update.name), 1), update.name


def test_a_finished_run_is_left_as_it_is(run, whole):
    state, workdir = whole
    again = loop.train(run, workdir)
    assert_same(state, again)


def test_a_checkpoint_holds_the_whole_state(run, whole):
    state, workdir = whole
    assert_same(state, workdirs.restore(workdir, run.system))


@pytest.mark.parametrize(
    "name", ["autoencoder", "bigan", "fanogan"]
)  # one net pair, a game, phases
def test_a_population_is_its_members_whatever_the_plan(name, tmp_path):
    """Two members vmapped with several steps per dispatch, against each trained alone."""
    run = tiny.with_gradient_descent(tiny.prepare(name, population__seeds=2, train__log_every=7))
    together = loop.train(run, tmp_path / "together", ALL_AT_ONCE)
    one_by_one = loop.train(run, tmp_path / "one_by_one", CPU)
    second = tiny.with_gradient_descent(tiny.prepare(name, seed=1))
    alone = loop.train(second, tmp_path / "second", CPU)
    assert_same(member(one_by_one, 1), member(alone, 0))
    firsts, seconds = (jax.tree.leaves(member(together, n).weights.params) for n in (0, 1))
    assert any((a != b).any() for a, b in zip(firsts, seconds, strict=True))
    assert_same(together, one_by_one, rtol=1e-4, atol=1e-6)


def test_divergence_names_the_loss_and_keeps_the_last_checkpoint(tmp_path):
    workdir = tmp_path
    loop.train(tiny.prepare("autoencoder", train__epochs=1), workdir)
    run = tiny.prepare("autoencoder", train__epochs=2, train__log_every=100)
    with pytest.raises(TrainingDiverged) as caught:
        loop.train(tiny.with_learning_rate(run, np.inf), workdir)
    steps = int(workdirs.restore(workdir, run.system).step[0])
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
        workdirs.restore(tmp_path, run.system)


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


def test_the_progress_bar_says_what_is_waited_for(tmp_path, monkeypatch):
    """It compiles before the first step, and its clock leaves that out."""
    told = []

    class Bar:
        def __init__(self, total, initial, desc, unit):
            told.append(desc)

        def set_description(self, text):
            told.append(text)

        def unpause(self):
            told.append("clock")

        def update(self, steps):
            told.append(steps)

        def set_postfix_str(self, text):
            pass

        def close(self):
            pass

    monkeypatch.setattr("semad.training.logs.tqdm", Bar)
    run = tiny.prepare("autoencoder")
    loop.train(run, tmp_path)
    assert told[:4] == ["training", "compiling", "training", "clock"]
    assert sum(one for one in told if isinstance(one, int)) == run.total_steps
    assert told.count("compiling") == told.count("clock") < run.total_steps
