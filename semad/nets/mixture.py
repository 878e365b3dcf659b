"""A density of feature vectors: a mixture of Gaussians with full covariances."""

import flax.linen as nn
import jax
import jax.numpy as jnp


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
