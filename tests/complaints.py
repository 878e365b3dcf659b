"""How errors that a user can cause must read."""

from collections.abc import Callable

import pytest

from semad.errors import UserError


def one_line(call: Callable[[], object], *parts: object) -> str:
    """The message of the UserError that a call ends in: one line that holds all the parts."""
    with pytest.raises(UserError) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    for part in parts:
        assert str(part) in message
    return message
