"""What a library raises is kept as a line; what it says of it besides is not heard."""

import asyncio
import logging
import sys
import threading

import pytest

from semad.utils.quiet import quietly


def test_the_first_line_is_kept():
    with quietly() as failed:
        raise ValueError("RESOURCE_EXHAUSTED: no space\nand more")
    assert failed.error == "RESOURCE_EXHAUSTED: no space"
    with quietly() as failed:
        raise ValueError
    assert failed.error == "ValueError"
    with quietly() as failed:
        pass
    assert failed.error == ""


@pytest.mark.parametrize("error", [MemoryError, KeyboardInterrupt, SystemExit])
def test_what_is_no_failure_passes(error):
    with pytest.raises(error), quietly():
        raise error


def test_other_threads_and_loggers_are_silent(caplog, capfd):
    hooks = sys.unraisablehook, threading.excepthook

    def fail():
        raise OSError("in a thread")

    async def task():
        failing = asyncio.get_running_loop().create_future()
        failing.set_exception(OSError("never retrieved"))

    with quietly("asyncio", "absl") as failed:
        thread = threading.Thread(target=fail)
        thread.start()
        thread.join()
        asyncio.run(task())
        logging.getLogger("absl").error("Traceback")
        raise OSError("full")
    assert failed.error == "full"
    assert not caplog.text
    assert not capfd.readouterr().err
    assert (sys.unraisablehook, threading.excepthook) == hooks
    logging.getLogger("absl").error("heard again")
    assert "heard again" in caplog.text
