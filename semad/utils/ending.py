"""How a process ends that a user or a signal has stopped; light, to hold while others import."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from semad.errors import UserError
from semad.utils.signals import interruptible


@contextmanager
def ends_in_one_line() -> Iterator[None]:
    """Ends the process with a line on standard error and an exit code, after an error or signal."""
    try:
        with interruptible():
            yield
    except UserError as error:
        print(f"semad: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(error.exit_code)
