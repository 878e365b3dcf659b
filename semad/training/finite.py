"""Whether what training makes is finite, and where it first was not."""

import jax
import jax.numpy as jnp
import numpy as np

from semad.training.step import Terms
from semad.types import TrainState


def gather(window: list[list[Terms]]) -> dict[str, np.ndarray]:
    """Loss terms of several dispatches: name -> (steps, members).

    Args:
      window: per dispatch and group of members, name -> (steps, members).
    """
    host = jax.device_get(window)
    return {
        name: np.concatenate(
            [np.concatenate([terms[name] for terms in groups], axis=1) for groups in host]
        )
        for name in host[0][0]
    }


def first_fault(
    terms: dict[str, np.ndarray], start: int, groups: list[TrainState]
) -> tuple[int, str] | None:
    """The step at which a loss, or else a net, was first not finite, and which, in words.

    Args:
      terms: of `gather`.
      start: the step before the first of them.
      groups: the population after the last of them.
    """
    broken = [
        (int(np.argmax(~np.isfinite(values).all(axis=1))), name)
        for name, values in terms.items()
        if not np.isfinite(values).all()
    ]
    if broken:
        row, name = min(broken)
        value = terms[name][row][~np.isfinite(terms[name][row])][0]
        return start + row + 1, f"the loss {name} is {value} at step {start + row + 1}"
    for state in groups:
        for name, params in state.weights.params.items():
            if not _finite(params):
                step = int(state.step[0])
                return step, f"the parameters of {name} are not finite after step {step}"
    return None


@jax.jit
def _finite(tree: dict) -> jax.Array:
    return jnp.all(jnp.stack([jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(tree)]))
