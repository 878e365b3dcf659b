"""Baselines that learn, but no network: PCA and k-means of normal patches, by scikit-learn.

Both rebuild a patch, from its leading components or as the nearest centre, and score what is left:
`pca_l2`, `pca_ssim` and `kmeans_l2`. A system with a generator should do better than these.
"""

from collections.abc import Iterator, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.cluster import MiniBatchKMeans
from sklearn.decomposition import PCA

from semad import losses
from semad.data.normal_images import split
from semad.data.normalisation import normalise
from semad.data.patches import tile_items
from semad.data.tiles import subset
from semad.evaluation.evaluate import protocol_of
from semad.evaluation.items import choose_items
from semad.evaluation.pixels import choose_images
from semad.metrics import pixels
from semad.metrics.statistics import ComparedSystem, bin_scores, from_bins
from semad.run.prepare import Run
from semad.scoring.batched import PatchScores, Scorer
from semad.scoring.items import cut_items, score_items
from semad.scoring.maps import Maps, map_images, smooth
from semad.scoring.thresholds import threshold
from semad.selection.validator import rank, try_on

PATCHES = 20_000
COMPONENTS = 64
CENTRES = 256
SCORES = {"pca_l2": ("pca", "l2"), "pca_ssim": ("pca", "ssim"), "kmeans_l2": ("kmeans", "l2")}
"""Score -> what rebuilds, and the residual."""


def fit(
    images: Sequence[np.ndarray], patch_size: int, seed: int, normalisation: str = "range"
) -> Scorer:
    """A scorer as `semad.scoring.batched.make_scorer` makes one; it ignores the member.

    Args:
      images: normal ones, (H, W, C) each, uint8 or uint16.
      patch_size: in pixels.
      seed: of the patches drawn from a dense grid, at most `PATCHES`, and of the fits.
      normalisation: of the patches, as the systems beside which these baselines stand see them.
    """
    items = tile_items(images, patch_size, max(1, patch_size // 4))
    items = items[subset(len(items), PATCHES, seed)]
    patches = np.asarray(normalise(cut_items(images, items, patch_size), normalisation))
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
    def score(_: object, patches: jax.Array, absent: object = None) -> PatchScores:
        del absent
        x = normalise(patches, normalisation)
        rebuilt = rebuild(x)
        scores, maps = {}, {}
        for name, (how, residual) in SCORES.items():
            scores[name] = losses.RESIDUALS[residual].value(x, rebuilt[how])
            maps[name] = losses.RESIDUALS[residual].map(x, rebuilt[how])
        return PatchScores(scores, maps, None)

    return score


def learned_baselines(run: Run) -> list[ComparedSystem]:
    """The scores on the items or maps that a run evaluates, fitted on what it trains on."""
    size, settings = run.sampling.patch_size, run.settings.score
    train = split(run.source, run.settings.data.holdout, size).train
    scorer = fit(train, size, run.settings.seed, run.method.normalisation)
    protocol = protocol_of(run)
    if protocol == "pixel":
        return _of_maps(run, scorer)
    items = choose_items(run, protocol)
    chunk = run.system.scoring.chunk
    test, normal = (
        score_items(scorer, None, *part, patch_size=size, chunk=chunk).values
        for part in ((run.source.test, items.test.items), (run.holdout, items.holdout))
    )
    places = np.unique(items.test.items[:, 0], return_inverse=True)[1]
    compared = []
    for name, scores in test.items():
        limit = threshold(settings.threshold_rule, settings.threshold_rate, normal[name], scores)
        binned = bin_scores(scores, items.test.labels, places, limit)
        compared.append(ComparedSystem(name, [binned], fixed=True))
    return compared


def _of_maps(run: Run, scorer: Scorer) -> list[ComparedSystem]:
    config, settings = run.settings, run.settings.score
    # They know patches of one size alone, of images as they are.
    tiling = run.system.scoring.tiling._replace(window=0, levels=1)
    images, masks, _ = choose_images(run)

    def mapper(images: Sequence[np.ndarray]) -> Iterator[Maps]:
        return map_images(scorer, None, images, tiling)

    sigmas = dict.fromkeys(SCORES, settings.smoothing)
    if config.select != "none":
        for ranked in reversed(rank(try_on(mapper, run.holdout, config.seed))):
            sigmas[ranked.setting.score] = ranked.setting.smoothing  # the best comes last
    test, normal = list(mapper(images)), list(mapper(run.holdout))
    compared = []
    for name, sigma in sigmas.items():
        maps, held = ([smooth(each[name], sigma) for each in part] for part in (test, normal))
        values, known = (np.concatenate([each.ravel() for each in part]) for part in (maps, held))
        limit = threshold(settings.threshold_rule, settings.pixel_rate, known, values)
        counts = pixels.count(maps, masks, limit)
        binned = from_bins(counts.normal, counts.anomalous, counts.edges, limit)
        compared.append(ComparedSystem(name, [binned], fixed=True))
    return compared
