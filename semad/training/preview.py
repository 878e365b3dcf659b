"""Sample images while training."""

from collections.abc import Callable

import jax
import numpy as np

from semad.data.normalisation import displayed, normalise
from semad.data.patches import crops, stack, tile_items
from semad.losses import sample_latent
from semad.run.prepare import Run
from semad.run.state import member
from semad.run.system import test_weights
from semad.types import TrainState

_PREVIEWS = 8  # patches per row of sample images


def previewer(run: Run) -> Callable[[TrainState], dict[str, jax.Array]]:
    """Sample images of a group's first member, on held-out patches that are always the same."""
    size = run.sampling.patch_size
    items = tile_items(run.holdout, size, size)
    chosen = items[np.linspace(0, len(items) - 1, _PREVIEWS, dtype=int)]
    how = run.method.normalisation
    images = normalise(crops(stack(run.holdout), chosen, size), how)
    z = sample_latent(jax.random.key(0), _PREVIEWS, run.method.latent_dim)

    @jax.jit
    def preview(group: TrainState) -> dict[str, jax.Array]:
        weights = test_weights(run.system, member(group, 0))
        nets = run.method.bind(weights)
        pictures = {"inputs": images}
        if run.method.sample:
            pictures["samples"] = run.method.sample(nets, z)
        if run.method.reconstruct:
            pictures["reconstructions"] = run.method.reconstruct(nets, images)
        return {name: displayed(picture, how) for name, picture in pictures.items()}

    return preview
