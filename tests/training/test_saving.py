"""What training must not lose: checkpoints by time, after errors and signals, never a new start."""

import json
import logging
import shutil
import signal

import jax
import numpy as np
import pytest

from semad.errors import CannotWrite
from semad.run.checkpoints import steps
from semad.training import logs, loop, phase, saving
from semad.training.logs import Log, read_log
from tests import tiny
from tests.complaints import one_line

CHANGES = {"train__epochs": 2, "train__validate_every": 3}
"""14 steps, with lines of the log at 3, 4, 6, 8, 9, 12 and 14."""


def run(**changes):
    return tiny.prepare("autoencoder", **(CHANGES | changes))


def figures(workdir):
    """The log without what depends on time."""
    return [
        {key: value for key, value in line.items() if "second" not in key}
        for line in read_log(workdir)
    ]


def leaves(state):
    state = state._replace(key=jax.random.key_data(state.key))
    return [np.asarray(leaf) for leaf in jax.tree.leaves(state)]


def assert_same(state, other):
    for a, b in zip(leaves(state), leaves(other), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("whole")
    return loop.train(run(), workdir), workdir


@pytest.fixture
def copied(whole, tmp_path):
    shutil.copytree(whole[1], tmp_path / "run")
    return tmp_path / "run"


def at_step(monkeypatch, step, action):
    """Does something once, when a run has done so many steps."""
    done = []

    class Watched(Log):
        def advance(self, count):
            super().advance(count)
            self.count = getattr(self, "count", 0) + count
            if self.count == step and not done:
                done.append(step)
                action()

    monkeypatch.setattr(loop, "Log", Watched)


def test_checkpoints_by_minutes(whole, tmp_path, monkeypatch):
    """One at step 5, where the clock says so, and the same end."""
    clock = [0.0]
    monkeypatch.setattr(saving.time, "monotonic", lambda: clock[0])
    at_step(monkeypatch, 5, lambda: clock.__setitem__(0, 59.9))
    seen = []
    save = loop.Checkpoints.save

    def noted(self, state, step=None):
        if self._folder.name == "checkpoints":
            seen.append(int(state.step[0]))
        save(self, state, step)

    monkeypatch.setattr(loop.Checkpoints, "save", noted)
    assert_same(loop.train(run(train__checkpoint_minutes=1.0), tmp_path / "a"), whole[0])
    assert seen == [0, 14, 14]
    seen.clear()
    at_step(monkeypatch, 5, lambda: clock.__setitem__(0, 60.0))
    clock[0] = 0.0
    assert_same(loop.train(run(train__checkpoint_minutes=1.0), tmp_path / "b"), whole[0])
    assert seen == [0, 5, 14, 14]
    assert [line["step"] for line in read_log(tmp_path / "b")] == [3, 4, 5, 6, 8, 9, 12, 14]
    timer = saving.Timer(0.0)
    clock[0] = 1e9
    assert not timer.due()


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_a_signal_saves(tmp_path, monkeypatch, number):
    at_step(monkeypatch, 5, lambda: signal.raise_signal(number))
    with pytest.raises(loop.Interrupted, match="stopped at step 5, saved"):
        loop.train(run(), tmp_path)
    assert steps(tmp_path / "checkpoints") == [5, 0]


def test_a_signal_behind_the_last_step_is_not_lost(whole, tmp_path, monkeypatch):
    animate = loop.animate

    def stopped(workdir):
        signal.raise_signal(signal.SIGHUP)
        animate(workdir)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "animate", stopped)
        with pytest.raises(loop.Interrupted, match="stopped at step 14, the last"):
            loop.train(run(), tmp_path)
    assert_same(loop.train(run(), tmp_path), whole[0])


def fail_once(monkeypatch, owner, name, error, call=1):
    """Has a function raise in one of its calls."""
    function, calls = getattr(owner, name), []

    def failing(*arguments, **options):
        calls.append(1)
        if len(calls) == call:
            raise error
        return function(*arguments, **options)

    monkeypatch.setattr(owner, name, failing)


ERRORS = {
    "a full disk at a line of the log": (Log, "scalars", CannotWrite("full"), 3, 6),
    "a full disk at a picture": (Log, "images", CannotWrite("full"), 1, 14),
    "an error in validation": (loop.Best, "update", RuntimeError("no"), 2, 6),
    "a full disk at the best state": (loop.Best, "update", CannotWrite("full"), 1, 3),
}


@pytest.mark.parametrize("what", list(ERRORS))
def test_any_error_saves_and_the_run_ends_as_if_there_was_none(
    whole, tmp_path, monkeypatch, what, caplog
):
    owner, name, error, call, step = ERRORS[what]
    fail_once(monkeypatch, owner, name, error, call)
    with pytest.raises(type(error)):
        loop.train(run(), tmp_path)
    if step < 14:
        assert steps(tmp_path / "checkpoints") == [step, 0]
        assert f"an error ends training; its state is saved at step {step}" in caplog.text
    monkeypatch.undo()
    assert_same(loop.train(run(), tmp_path), whole[0])
    assert figures(tmp_path) == figures(whole[1])
    assert steps(tmp_path / "best") == steps(whole[1] / "best")


def test_a_second_ctrl_c_saves_too(whole, tmp_path, monkeypatch):
    """It comes while validating, which is made up for when the run goes on."""

    def twice(*_):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(loop.Best, "update", twice)
        with pytest.raises(KeyboardInterrupt):
            loop.train(run(), tmp_path)
    assert steps(tmp_path / "checkpoints") == [3, 0]
    assert_same(loop.train(run(), tmp_path), whole[0])
    assert steps(tmp_path / "best") == steps(whole[1] / "best")


def test_a_state_that_a_step_has_taken_is_not_saved(tmp_path, monkeypatch):
    """An error in the middle of a step: its input is gone, and the last checkpoint stays."""
    make, calls = phase.make_program, []

    def failing(*of_program):
        program = make(*of_program)

        def call(state, *arguments):
            calls.append(1)
            result = program(state, *arguments)
            if len(calls) == 2:
                raise MemoryError("RESOURCE_EXHAUSTED")
            return result

        return call

    monkeypatch.setattr(phase, "make_program", failing)
    with pytest.raises(MemoryError):
        loop.train(run(), tmp_path)
    assert steps(tmp_path / "checkpoints") == [0]


@pytest.mark.parametrize("lost", [["checkpoints"], ["checkpoints", "log.jsonl"]])
def test_no_new_start_where_a_run_was(copied, lost):
    for name in lost:
        path = copied / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    before = sorted(copied.rglob("*"))
    what = "best/ has a checkpoint" if "log.jsonl" in lost else "log.jsonl has 14 steps"
    one_line(lambda: loop.train(run(), copied), copied, what, "restore that folder")
    assert sorted(copied.rglob("*")) == before


def test_a_damaged_checkpoint_is_trained_anew_to_the_bit(whole, copied, caplog):
    for path in (copied / "checkpoints" / "14").rglob("manifest.ocdbt"):
        path.write_bytes(b"")
    (damaged,) = [step for step in steps(copied / "checkpoints") if step == 14]
    assert_same(loop.train(run(), copied), whole[0])
    assert f"the checkpoint of step {damaged} is damaged" in caplog.text
    assert (copied / "checkpoints" / "damaged-14").is_dir()
    assert figures(copied) == figures(whole[1])
    assert steps(copied / "best") == steps(whole[1] / "best")


def test_a_damaged_best_state_is_said_to_be_lost(copied, caplog):
    (step,) = steps(copied / "best")
    for path in (copied / "best" / str(step)).rglob("manifest.ocdbt"):
        path.write_bytes(b"")
    loop.train(run(train__epochs=3), copied)
    assert "the best state so far is lost" in caplog.text
    assert (copied / "best" / f"damaged-{step}").is_dir()
    assert steps(copied / "best")[0] > step


def test_a_finished_run_is_written_nothing_to(copied):
    before = {path: path.stat().st_mtime_ns for path in copied.rglob("*")}
    loop.train(run(), copied)
    assert {path: path.stat().st_mtime_ns for path in copied.rglob("*")} == before


def test_damaged_lines_of_the_log_are_left_out(tmp_path, caplog):
    good = [json.dumps({"step": step, "seconds": 1.5}) for step in (2, 4)]
    bad = ['{"step": 3, "seco', "[]", "3", '{"step": "x"}', '{"step": null}', "[" * 10**5]
    (tmp_path / "log.jsonl").write_bytes(
        "\n".join([good[0], *bad, good[1]]).encode() + b'\n{"step": 5, "\xff": 1}\n'
    )
    with caplog.at_level(logging.WARNING):
        assert [line["step"] for line in read_log(tmp_path)] == [2, 4]
    assert "log.jsonl: 7 of 9 lines are damaged" in caplog.text


def test_stray_files_among_the_samples_do_not_matter(copied, caplog):
    samples = copied / "samples"
    (samples / "holiday.png").write_bytes(b"no picture")
    (samples / "00000012.png").write_bytes(b"no picture")
    (samples / "00000013.png").mkdir()
    (copied / "samples.gif").unlink()
    loop.train(run(train__epochs=3), copied)
    assert (copied / "samples.gif").is_file()
    assert "00000012.png: left out of samples.gif" in caplog.text
    assert (samples / "holiday.png").is_file()


def test_a_full_disk_ends_tensorboard_alone(whole, tmp_path, monkeypatch, caplog):
    error = OSError(28, "No space left on device")
    fail_once(monkeypatch, logs.EventsWriter, "write_event", error, call=9)
    assert_same(loop.train(run(), tmp_path), whole[0])
    assert caplog.text.count("no more is written for TensorBoard (No space left") == 1
