"""Keeps libraries from telling at length, in other threads, what is raised and told in one line."""

import gc
import logging
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_LATE = 0.5
"""Seconds within which other threads notice an error."""


class Failure:
    """How a quiet block ended.

    Attributes:
      error: the first line of the exception, empty where there was none.
    """

    error = ""


def _say_nothing(late: object) -> None:
    """A hook for exceptions that nobody handles."""


@contextmanager
def quietly(*loggers: str, after_error: bool = False) -> Iterator[Failure]:
    """Ends a block at an exception, which is kept as a line, without what else is said of it.

    The exception itself is dropped: it holds on to what else would complain at the end of the
    process, such as tasks whose exceptions nobody retrieved. MemoryError and what is no Exception
    pass.

    Args:
      loggers: names of loggers that say nothing in the block.
      after_error: whether the block is left for an earlier error, about which threads may speak.
    """
    failure = Failure()
    hooks = sys.unraisablehook, threading.excepthook

    def nothing(record: logging.LogRecord) -> bool:
        return False

    for name in loggers:
        logging.getLogger(name).addFilter(nothing)
    sys.unraisablehook = threading.excepthook = _say_nothing
    try:
        try:
            yield failure
        except MemoryError:
            raise
        except Exception as error:
            lines = str(error).strip().splitlines()
            failure.error = (lines or [type(error).__name__])[0][:200]
        if failure.error or after_error:
            time.sleep(_LATE)
            gc.collect()
    finally:
        sys.unraisablehook, threading.excepthook = hooks
        for name in loggers:
            logging.getLogger(name).removeFilter(nothing)
