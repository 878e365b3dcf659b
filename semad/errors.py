"""Errors that a user can cause: one clear line each, and an exit code."""


class UserError(Exception):
    """What went wrong, where, and what to do, in one line; `main.py` prints it and exits."""

    exit_code = 2


class TrainingDiverged(UserError):
    """A loss or a parameter became NaN or infinite; the last good checkpoint is kept."""

    exit_code = 3


class SomeUnreadable(UserError):
    """Some images could not be read; the others were inspected."""

    exit_code = 4
