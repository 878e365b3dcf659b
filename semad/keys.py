"""What a run's key is folded with, first of all: no two purposes share random numbers."""

from enum import IntEnum

import jax


class Purpose(IntEnum):
    """What random numbers are for; the numbers are part of a run's identity, so never renumber."""

    INIT = 0
    DATA = 1
    LOSS = 2
    SCORING = 3


def derive(key: jax.Array, purpose: Purpose) -> jax.Array:
    """The key of one purpose, from a run's key."""
    return jax.random.fold_in(key, int(purpose))
