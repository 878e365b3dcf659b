"""Densities of feature vectors: mixtures of Gaussians with full covariances."""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

_SMOOTH = 9
"""Height and width of the surroundings, in squares of 2×2 cells."""


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

    Features are means over the 6×6 cells around every 2×2 cells, of which a `GaussianMixture` is
    the density (after PatchCore, Roth et al. 2022, and PaDiM, Defard et al. 2021, whose features
    are those of a pretrained network).
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
        around = _means(features, 6, 2)
        vectors = around.reshape(-1, around.shape[-1])
        logs = GaussianMixture(self.components, self.momentum)(vectors, train)
        logs = logs.reshape(*around.shape[:3], 1)
        cells = probabilities.shape
        rarity = -jax.image.resize(_means(logs, _SMOOTH, 1)[..., 0], cells, "linear")
        norm = nn.BatchNorm(
            use_running_average=not train,
            momentum=self.momentum,
            use_scale=False,
            use_bias=False,
        )
        rarity = norm(jnp.stack([probabilities, rarity], axis=-1))[..., 1]
        spread = jnp.sqrt(norm.variables["batch_stats"]["var"][0] + norm.epsilon)
        logs = jax.image.resize(logs[..., 0], cells, "linear")
        return Density(logs, probabilities + spread * nn.sigmoid(rarity))


def _means(values: jax.Array, size: int, stride: int) -> jax.Array:
    """Over the windows around every `stride` cells, less at borders: (N, h, w, F)."""
    rows, columns = (_averages(length, size, stride) for length in values.shape[1:3])
    return jnp.einsum("ih,nhwf,jw->nijf", rows, values, columns)


def _averages(length: int, size: int, stride: int) -> np.ndarray:
    """The matrix that takes means over windows of an axis: float32 (length / stride, length)."""
    starts = np.arange(0, length, stride)[:, None] - (size - stride) // 2
    places = np.arange(length)
    inside = (places >= starts) & (places < starts + size)
    return (inside / inside.sum(axis=1, keepdims=True)).astype(np.float32)
