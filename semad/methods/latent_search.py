"""Search for the latents that a generator would have made images from (AnoGAN, section 2.3.1).

Every latent moves by itself, by its own optimiser's state and its own count of steps. A turn of the
compiled loop takes as many latents as move together of those that are not done, moves each of them
once and puts them back: what is done costs nothing more, and a latent's path does not depend on the
company in which it moved.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

Objective = Callable[[jax.Array, Any], jax.Array]
"""(z (latent,), target of one image, a tree of arrays) -> scalar, lower is closer."""


class Descent(NamedTuple):
    """How a latent is moved.

    Attributes:
      optimizer: with its learning rate.
      steps: the most evaluations of the gradient.
      keep_best: whether the result is the best z of those whose objective was evaluated, the start
        among them; else the one behind the last step.
      tolerance: a latent is done when `patience` steps lower its best objective by a smaller share
        than this; 0 is never.
      patience: in steps.
      together: latents that move in one turn; bounds memory.
    """

    optimizer: optax.GradientTransformation
    steps: int
    keep_best: bool = False
    tolerance: float = 0.0
    patience: int = 5
    together: int = 64


class Latent(NamedTuple):
    """Where a search for one image stands; stacked, of all.

    Attributes:
      z: to be evaluated next, (latent,).
      opt_state: of the optimiser.
      steps: evaluations so far.
      best, best_value: the z of the lowest objective, and that objective.
      reference: the lowest objective when progress was last checked.
      done: whether it moves no more.
    """

    z: jax.Array
    opt_state: optax.OptState
    steps: jax.Array
    best: jax.Array
    best_value: jax.Array
    reference: jax.Array
    done: jax.Array


class SearchResult(NamedTuple):
    """What searches end with.

    Attributes:
      z: (N, latent).
      steps: evaluations of the gradient, over all starts, int32 (N,).
    """

    z: jax.Array
    steps: jax.Array


def search(
    objective: Objective, starts: jax.Array, targets: Any, descent: Descent, absent: jax.Array
) -> SearchResult:
    """Searches the latents of N images, each on its own.

    Args:
      objective: of one latent and one image.
      starts: (N, S, latent); of S > 1 the latent counts whose search ends lowest.
      targets: a tree of arrays (N, ...).
      descent: how.
      absent: bool (N,), images that only fill up a batch and are not searched for.
    """
    count, each, length = starts.shape
    advance = jax.vmap(partial(_advance, objective, descent))
    together = min(descent.together, count * each)

    def turn(latents: Latent) -> Latent:
        (rows,) = jnp.nonzero(~latents.done, size=together, fill_value=count * each)
        some = jax.tree.map(lambda leaf: jnp.take(leaf, rows, 0, mode="clip"), latents)
        theirs = jax.tree.map(lambda leaf: jnp.take(leaf, rows // each, 0, mode="clip"), targets)
        return jax.tree.map(
            lambda leaf, moved: leaf.at[rows].set(moved, mode="drop"),
            latents,
            advance(some, theirs),
        )

    begun = jax.vmap(partial(_begin, descent))(starts.reshape(-1, length))
    begun = begun._replace(done=jnp.repeat(absent, each) | (descent.steps == 0))
    ended = jax.lax.while_loop(lambda latents: ~latents.done.all(), turn, begun)
    ends = (ended.best if descent.keep_best else ended.z).reshape(starts.shape)
    steps = ended.steps.reshape(count, each).sum(axis=1)
    if each == 1:
        return SearchResult(ends[:, 0], steps)
    values = jax.vmap(jax.vmap(objective, (0, None)))(ends, targets)
    lowest = jnp.argmin(values, axis=1)
    return SearchResult(jnp.take_along_axis(ends, lowest[:, None, None], axis=1)[:, 0], steps)


def _begin(descent: Descent, start: jax.Array) -> Latent:
    far = jnp.float32(jnp.inf)
    state = descent.optimizer.init(start)
    return Latent(start, state, jnp.int32(0), start, far, far, jnp.bool_(False))


def _advance(objective: Objective, descent: Descent, latent: Latent, target: Any) -> Latent:
    """One evaluation and one step of one latent."""
    value, gradient = jax.value_and_grad(objective)(latent.z, target)
    updates, opt_state = descent.optimizer.update(gradient, latent.opt_state, latent.z)
    steps = latent.steps + 1
    better = value < latent.best_value
    best_value = jnp.where(better, value, latent.best_value)
    checked = (steps == 1) | (steps % descent.patience == 0)  # at first there is but the start
    kept = (1 - descent.tolerance) * latent.reference
    stalled = checked & (best_value >= kept) & (descent.tolerance > 0)
    return Latent(
        z=optax.apply_updates(latent.z, updates),
        opt_state=opt_state,
        steps=steps,
        best=jnp.where(better, latent.z, latent.best),
        best_value=best_value,
        reference=jnp.where(checked, best_value, latent.reference),
        done=(steps >= descent.steps) | stalled | ~jnp.isfinite(value),
    )
