"""Search for the latent that a generator would have made an image from (AnoGAN, section 2.3.1)."""

from collections.abc import Callable

import jax
import optax


def search_latent(
    objective: Callable[[jax.Array], jax.Array],
    start: jax.Array,
    optimizer: optax.GradientTransformation,
    steps: int,
) -> jax.Array:
    """Moves one latent down the gradient of `objective`; vmap it to search for many at once.

    The optimiser's state belongs to this latent alone, so under vmap each image has its own and
    no result depends on the batch that an image came in.

    Args:
      objective: z (latent,) -> scalar.
      start: z0 (latent,).
      optimizer: with its learning rate.
      steps: how many moves; compiled as a loop, so any number costs one compilation.

    Returns:
      z after the last move, (latent,).
    """

    def move(_: int, carry: tuple[jax.Array, optax.OptState]) -> tuple[jax.Array, optax.OptState]:
        z, opt_state = carry
        updates, opt_state = optimizer.update(jax.grad(objective)(z), opt_state, z)
        return optax.apply_updates(z, updates), opt_state

    return jax.lax.fori_loop(0, steps, move, (start, optimizer.init(start)))[0]
