"""SIGINT, SIGTERM and SIGHUP: while training a request to stop, elsewhere an exception.

A signal that is ignored when the process starts stays so: `nohup` runs outlive their terminal.
"""

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from semad.errors import Interrupted

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_TOGETHER = 5.0
"""Seconds within which several signals are one request to stop."""


class _Stop(KeyboardInterrupt):
    """Raised where the main thread is; no `except Exception` on its way out swallows it."""


@contextmanager
def interruptible() -> Iterator[None]:
    """Turns the first of the signals into an exception in the main thread, where the block is left.

    Inside the block it is a KeyboardInterrupt, so that `finally` runs and nothing that handles
    errors of an image takes it for one. A second Ctrl-C interrupts what `finally` does; a SIGTERM
    or SIGHUP that comes within seconds of the first signal does not, since they come together.

    Raises:
      Interrupted: after a signal.
    """
    last = -math.inf

    def stop(number: int, frame: FrameType | None) -> None:
        del frame
        nonlocal last
        if number == signal.SIGINT or time.monotonic() - last > _TOGETHER:
            last = time.monotonic()
            raise _Stop(signal.Signals(number).name)

    with _handled_by(stop):
        try:
            yield
        except KeyboardInterrupt as error:
            name = str(error) or "Ctrl-C"
            raise Interrupted(
                f"stopped by {name}; the same command goes on from what was saved"
            ) from error


@contextmanager
def stop_request() -> Iterator[threading.Event]:
    """An event that is set by the first of the signals; a second Ctrl-C acts at once.

    So does a second SIGTERM or SIGHUP that does not come together with the first signal.
    """
    stop, last = threading.Event(), -math.inf

    def request(number: int, frame: FrameType | None) -> None:
        del frame
        nonlocal last
        if stop.is_set() and (number == signal.SIGINT or time.monotonic() - last > _TOGETHER):
            raise _Stop(signal.Signals(number).name)
        last = time.monotonic()
        stop.set()

    with _handled_by(request):
        yield stop


@contextmanager
def _handled_by(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Sets the handler of the signals that are not ignored, in the main thread alone."""
    if threading.current_thread() is not threading.main_thread():
        yield  # handlers can be set in the main thread only
        return
    old = {number: signal.getsignal(number) for number in _SIGNALS}
    changed = [number for number in _SIGNALS if old[number] not in (signal.SIG_IGN, None)]
    for number in changed:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number in changed:
            signal.signal(number, old[number])
