"""PCA and k-means as scorers, against scikit-learn's own answers."""

import numpy as np
import pytest
from scipy import ndimage
from sklearn.decomposition import PCA

from semad.evaluation import learned_baselines

RNG = np.random.default_rng(0)
NOISE = ndimage.gaussian_filter(RNG.normal(size=(3, 48, 48)), (0, 2, 2))
IMAGES = list(np.clip(127 + 500 * NOISE, 0, 255).astype(np.uint8)[..., None])


@pytest.fixture(scope="module")
def scored():
    scorer = learned_baselines.fit(IMAGES, 16, seed=1)
    patches = np.stack(
        [IMAGES[0][:16, :16], IMAGES[1][3:19, 5:21], np.zeros((16, 16, 1), np.uint8)]
    )
    return patches, scorer(None, patches)


def test_pca_leaves_what_its_components_do_not_hold(scored):
    patches, found = scored
    corners = [(i, y, x) for i in range(3) for y in range(0, 33, 4) for x in range(0, 33, 4)]
    rows = np.stack([IMAGES[i][y : y + 16, x : x + 16].ravel() for i, y, x in corners])
    count = min(learned_baselines.COMPONENTS, *rows.shape)
    pca = PCA(count, svd_solver="full").fit(rows / 127.5 - 1)
    flat = patches.reshape(3, -1) / 127.5 - 1
    left = np.square(flat - pca.inverse_transform(pca.transform(flat))).mean(axis=1)
    np.testing.assert_allclose(found.scores["pca_l2"], left, rtol=0.05, atol=1e-4)


def test_a_patch_seen_in_training_is_nearer_to_a_centre_than_an_empty_one(scored):
    _, found = scored
    assert found.scores["kmeans_l2"][0] < 0.2 * found.scores["kmeans_l2"][2]


def test_maps_are_of_pixels_and_mean_the_scores(scored):
    _, found = scored
    assert found.maps.keys() == found.scores.keys() == learned_baselines.SCORES.keys()
    for name in ("pca_l2", "kmeans_l2"):
        assert found.maps[name].shape == (3, 16, 16)
        np.testing.assert_allclose(found.maps[name].mean(axis=(1, 2)), found.scores[name], 1e-4)
