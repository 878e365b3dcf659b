"""Structural similarity (Wang et al. 2004), differentiable, as scikit-image computes it.

Gaussian window of σ = 1.5 pixels cut at 3.5σ (11×11), K1 = 0.01, K2 = 0.03, population
covariances, and constants for images in [-1, 1]; standardised patches reach beyond, where the
constants weigh less. The filter along an axis is a matmul with a small banded matrix: exact, and as
fast inside a compiled loop as outside it on every backend.
"""

import jax
import jax.numpy as jnp
import numpy as np
from scipy.ndimage import gaussian_filter1d

SIGMA, TRUNCATE = 1.5, 3.5
RADIUS = int(TRUNCATE * SIGMA + 0.5)
_C1, _C2 = (0.01 * 2.0) ** 2, (0.03 * 2.0) ** 2  # a range of values of 2


def _filter(size: int) -> np.ndarray:
    """The Gaussian filter with mirrored borders, as a (size, size) matrix."""
    eye = np.eye(size)
    return gaussian_filter1d(eye, SIGMA, axis=0, mode="reflect", truncate=TRUNCATE).astype("f4")


def similarity_map(x: jax.Array, y: jax.Array) -> jax.Array:
    """SSIM at every pixel, mean over channels: (N, H, W, C) twice -> (N, H, W)."""
    channels = x.shape[-1]
    rows, columns = _filter(x.shape[1]), _filter(x.shape[2])
    stacked = jnp.concatenate([x, y, x * x, y * y, x * y], axis=-1)
    # Full precision: variances are differences of nearly equal numbers.
    means = jnp.einsum("ih,nhwc,jw->nijc", rows, stacked, columns, precision="highest")
    mx, my, mxx, myy, mxy = (means[..., i * channels : (i + 1) * channels] for i in range(5))
    vx, vy, vxy = mxx - mx * mx, myy - my * my, mxy - mx * my
    top = (2 * mx * my + _C1) * (2 * vxy + _C2)
    bottom = (mx * mx + my * my + _C1) * (vx + vy + _C2)
    return (top / bottom).mean(axis=-1)


def mean_similarity(x: jax.Array, y: jax.Array) -> jax.Array:
    """Mean SSIM over the pixels whose whole window lies inside: (N, H, W, C) twice -> (N,).

    Raises:
      ValueError: for images that no whole window fits into (11 pixels).
    """
    if min(x.shape[1:3]) <= 2 * RADIUS:
        raise ValueError(f"images of {x.shape[1]}×{x.shape[2]} are smaller than the SSIM window")
    inside = similarity_map(x, y)[:, RADIUS:-RADIUS, RADIUS:-RADIUS]
    return inside.mean(axis=(1, 2))


def mean_dissimilarity(x: jax.Array, y: jax.Array) -> jax.Array:
    """1 − mean SSIM, 0 for equal images: (N, H, W, C) twice -> (N,)."""
    return 1 - mean_similarity(x, y)
