"""Baselines that learn, but no network: PCA and k-means of normal patches, by scikit-learn.

Both rebuild a patch, from its leading components or as the nearest centre, and score what is left:
`pca_l2`, `pca_ssim` and `kmeans_l2`. A system with a generator should do better than these.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.cluster import MiniBatchKMeans
from sklearn.decomposition import PCA

from semad import losses
from semad.data.patches import normalise, tile_items
from semad.evaluation.protocols import subset
from semad.scoring.batched import Evidence, Scorer, cut_items

PATCHES = 20_000
COMPONENTS = 64
CENTRES = 256
SCORES = {"pca_l2": ("pca", "l2"), "pca_ssim": ("pca", "ssim"), "kmeans_l2": ("kmeans", "l2")}
"""Score -> what rebuilds, and the residual."""


def fit(images: Sequence[np.ndarray], patch_size: int, seed: int) -> Scorer:
    """A scorer as `semad.scoring.batched.make_scorer` makes one; it ignores the member.

    Args:
      images: normal ones, (H, W, C) each, uint8 or uint16.
      patch_size: in pixels.
      seed: of the patches drawn from a dense grid, at most `PATCHES`, and of the fits.
    """
    items = tile_items(images, patch_size, max(1, patch_size // 4))
    items = items[subset(len(items), PATCHES, seed)]
    patches = np.asarray(normalise(cut_items(images, items, patch_size)))
    rows = patches.reshape(len(patches), -1)
    count = min(COMPONENTS, *rows.shape)
    pca = PCA(count, random_state=seed).fit(rows)
    means = MiniBatchKMeans(min(CENTRES, len(rows)), n_init=1, random_state=seed).fit(rows)
    mean, basis = jnp.asarray(pca.mean_)[None], jnp.asarray(pca.components_)
    centres = jnp.asarray(means.cluster_centers_)

    def rebuild(x: jax.Array) -> dict[str, jax.Array]:
        flat = x.reshape(len(x), -1)
        distances = jnp.square(centres).sum(axis=1)[None] - 2 * flat @ centres.T
        rebuilt = {
            "pca": mean + (flat - mean) @ basis.T @ basis,
            "kmeans": centres[distances.argmin(axis=1)],
        }
        return {name: values.reshape(x.shape) for name, values in rebuilt.items()}

    @jax.jit
    def score(_: object, patches: jax.Array) -> Evidence:
        x = normalise(patches)
        rebuilt = rebuild(x)
        scores, maps = {}, {}
        for name, (how, residual) in SCORES.items():
            scores[name] = losses.RESIDUALS[residual](x, rebuilt[how])
            maps[name] = losses.RESIDUAL_MAPS[residual](x, rebuilt[how])
        return Evidence(scores, maps, None)

    return score
