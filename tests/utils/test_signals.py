"""Signals: an exception at the edge of a mode, a request while training."""

import os
import signal
import subprocess
import sys

import pytest

from semad.errors import Interrupted
from semad.utils.signals import interruptible, stop_request

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_leaves_the_block(number):
    before = [signal.getsignal(each) for each in SIGNALS]
    ended = []
    match = f"stopped by {number.name}"
    with pytest.raises(Interrupted, match=match) as caught, interruptible():
        try:
            signal.raise_signal(number)
        except Exception:  # as libraries have it
            ended.append("swallowed")
        finally:
            ended.append("finally")
    assert ended == ["finally"]
    assert caught.value.exit_code == 130
    assert [signal.getsignal(each) for each in SIGNALS] == before


def test_signals_that_come_together_are_one():
    """A closing terminal sends two; what `finally` writes is written all the same."""
    written = []
    with pytest.raises(Interrupted), interruptible():
        try:
            signal.raise_signal(signal.SIGHUP)
        finally:
            signal.raise_signal(signal.SIGTERM)
            written.append("tables")
    assert written == ["tables"]


def test_a_second_ctrl_c_does_not_wait():
    written = []
    with pytest.raises(Interrupted), interruptible():
        try:
            signal.raise_signal(signal.SIGINT)
        finally:
            signal.raise_signal(signal.SIGINT)
            written.append("tables")
    assert not written


@pytest.mark.parametrize("number", SIGNALS)
def test_while_training_the_first_is_a_request(number):
    with pytest.raises(Interrupted, match="SIGINT"), interruptible(), stop_request() as stop:
        signal.raise_signal(number)
        assert stop.is_set()
        if number != signal.SIGINT:
            signal.raise_signal(signal.SIGTERM)  # together with it
        signal.raise_signal(signal.SIGINT)
        pytest.fail("a second Ctrl-C acts at once")


def test_what_is_ignored_stays_ignored():
    """As under `nohup`."""
    code = (
        "import signal\n"
        "from semad.utils.signals import interruptible, stop_request\n"
        "signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "with interruptible(), stop_request() as stop:\n"
        "    signal.raise_signal(signal.SIGHUP)\n"
        "print(stop.is_set())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=os.environ,
    )
    assert (done.returncode, done.stdout) == (0, "False\n"), done.stderr
