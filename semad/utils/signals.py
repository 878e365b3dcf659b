"""Ctrl-C and SIGTERM as a request to stop at the next step, so that the state can be saved."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def stop_request() -> Iterator[threading.Event]:
    """An event that is set by the first SIGINT or SIGTERM; a second one acts at once."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop  # handlers can be set in the main thread only
        return
    old = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def restore() -> None:
        for number, handler in old.items():
            signal.signal(number, handler)

    def request(number: int, frame: FrameType | None) -> None:
        del number, frame
        stop.set()
        restore()

    for number in old:
        signal.signal(number, request)
    try:
        yield stop
    finally:
        restore()
