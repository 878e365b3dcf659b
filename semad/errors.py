"""Errors that a user can cause: one clear line each, and an exit code."""

_LONGEST = 1_000
"""Characters of a message: what it quotes may be of any length."""


class UserError(Exception):
    """What went wrong, where, and what to do, in one line; `main.py` prints it and exits."""

    exit_code = 2

    def __init__(self, message: str) -> None:
        """Keeps the message as a single line, whatever names and library errors it quotes."""
        text = " ".join(str(message).splitlines())
        super().__init__(text if len(text) <= _LONGEST else f"{text[: _LONGEST - 4]} ...")


def out_of_memory(error: BaseException | str) -> bool:
    """Whether JAX, or a library above it, says that a device's memory is exhausted."""
    return "RESOURCE_EXHAUSTED" in str(error)


class TrainingDiverged(UserError):
    """A loss or a parameter became NaN or infinite; the last good checkpoint is kept."""

    exit_code = 3


class SomeUnreadable(UserError):
    """Some images got no verdict; the others were inspected."""

    exit_code = 4


class Interrupted(UserError):
    """Somebody stopped the work; what was done is saved."""

    exit_code = 130


class CannotWrite(UserError):
    """A file could not be written, as on a full disk; whatever comes next would fail alike."""
