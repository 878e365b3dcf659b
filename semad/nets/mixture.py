"""Densities of feature vectors: mixtures of Gaussians with full covariances."""

from functools import partial
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from semad.nets.windows import means_around

_AROUND, _STRIDE = 6, 2
"""Cells: features are means over squares of the one, a vector for every square of the other."""

_SURROUNDINGS = 9
"""Such vectors: height and width of what the density is averaged over."""


class GaussianMixture(nn.Module):
    """Log density of vectors: (N, D) -> (N,).

    Features are brought to mean 0 and variance 1 first, by running statistics at test time; the
    density is that of what comes out.
    """

    components: int
    momentum: float

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Each component has a mean and the Cholesky factor of its precision."""
        x = nn.BatchNorm(
            use_running_average=not train,
            momentum=self.momentum,
            use_scale=False,
            use_bias=False,
        )(x)
        count, size = self.components, x.shape[-1]
        share = self.param("share", nn.initializers.zeros_init(), (count,))
        mean = self.param("mean", nn.initializers.normal(1.0), (count, size))
        below = self.param("below", nn.initializers.zeros_init(), (count, size, size))
        scale = self.param("scale", nn.initializers.zeros_init(), (count, size))
        factor = jnp.tril(below, -1) + jax.vmap(jnp.diag)(jnp.exp(scale))
        apart = jnp.einsum("kde,nke->nkd", factor, x[:, None] - mean[None])
        logs = -0.5 * jnp.square(apart).sum(axis=-1) + scale.sum(axis=-1)[None]
        logs += jax.nn.log_softmax(share)[None] - 0.5 * size * jnp.log(2 * jnp.pi)
        return jax.nn.logsumexp(logs, axis=1)


class Density(NamedTuple):
    """What a `FeatureDensity` says of every cell.

    Attributes:
      log_density: of the features around, (N, h, w).
      fused: how anomalous it is by the discriminator and by its features, (N, h, w).
    """

    log_density: jax.Array
    fused: jax.Array


class FeatureDensity(nn.Module):
    """How rare a discriminator's features are, and how anomalous cells are by both of them.

    The density is a mixture of Gaussians of what lies around a cell, wherever that is. (PatchCore,
    Roth et al. 2022, has nearest neighbours in its place, and PaDiM, Defard et al. 2021, a Gaussian
    for each place, both of features of a pretrained network.)
    """

    components: int
    momentum: float

    @nn.compact
    def __call__(self, features: jax.Array, probabilities: jax.Array, train: bool) -> Density:
        """Features (N, h, w, F) and probabilities (N, h, w) of cells; h and w are even.

        `fused` is the probability, to which rare features, in the mean over the surroundings, add
        up to one standard deviation that probabilities of normal cells have, by running statistics
        at test time. So they decide where the discriminator sees next to nothing.
        """
        around = means_around(features, _AROUND, _STRIDE)
        vectors = around.reshape(-1, around.shape[-1])
        logs = GaussianMixture(self.components, self.momentum)(vectors, train)
        logs = logs.reshape(*around.shape[:3], 1)
        to_cells = partial(jax.image.resize, shape=probabilities.shape, method="linear")
        rarity = -to_cells(means_around(logs, _SURROUNDINGS, 1)[..., 0])
        norm = nn.BatchNorm(
            use_running_average=not train,
            momentum=self.momentum,
            use_scale=False,
            use_bias=False,
        )
        # Of the probabilities the variance alone counts: their zero is to stay.
        rarity = norm(jnp.stack([probabilities, rarity], axis=-1))[..., 1]
        spread = jnp.sqrt(norm.variables["batch_stats"]["var"][0] + norm.epsilon)
        return Density(to_cells(logs[..., 0]), probabilities + spread * nn.sigmoid(rarity))
