"""Which of the processes that work on one run together this is: one each on several hosts.

A process works alone unless `semad.utils.joining.join` says otherwise, whatever JAX knows of
other processes. Light: JAX is not imported here.
"""

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

Item = TypeVar("Item")


class _Place(NamedTuple):
    number: int
    of: int


_place = _Place(0, 1)


def set_place(number: int, count: int) -> None:
    """Makes this process number `number` of `count`."""
    global _place
    _place = _Place(number, count)


def number() -> int:
    """Of this process, from 0 on."""
    return _place.number


def count() -> int:
    """How many processes work on the run; 1 as a rule."""
    return _place.of


def writes() -> bool:
    """Whether this process writes the run's files: the first alone does."""
    return _place.number == 0


def turns(items: Sequence[Item]) -> Sequence[Item]:
    """The items that are this process' part: every `count()`-th."""
    return items if _place.of == 1 else items[_place.number :: _place.of]
