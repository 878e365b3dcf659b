"""Scores depend on the image alone."""

import jax
import numpy as np
import pytest

from semad.config.settings import with_values
from semad.data.normalisation import normalise
from semad.errors import UserError
from semad.run.state import init_population, member
from semad.run.system import scoring_state, with_settings
from semad.run.system import test_weights as weights_of_test
from semad.scoring.batched import ScoringState, make_scorer, over_devices
from semad.scoring.items import score_items
from tests import tiny


def shaken_weights(method):
    """Weights away from their start, where many networks answer next to nothing."""
    weights = member(init_population(method, [0]), 0).ema
    shaken = jax.tree.map(
        lambda leaf: leaf + 0.05 * jax.random.normal(jax.random.key(leaf.size), leaf.shape),
        weights.params,
    )
    return weights._replace(params=shaken)


@pytest.fixture(scope="module", params=tiny.NAMES)
def scoring(request):
    """A scorer with weights away from their start, and patches to score."""
    run = tiny.prepare(request.param)
    weights = shaken_weights(run.method)
    scorer = make_scorer(run.method)

    def score(rows, chunk=16, keep=()):
        items = np.array([[row, 0, 0] for row in rows], np.int32)
        own = ScoringState(weights, run.method.hparams, jax.random.key(3))
        return score_items(
            scorer, own, run.source.test, items, patch_size=16, chunk=chunk, keep=keep
        )

    return score, run.method


ROWS = list(range(40))


def scorer_of(run):
    """A scorer of an untrained run, and the member that scores."""
    own = ScoringState(shaken_weights(run.method), run.method.hparams, jax.random.key(3))
    return make_scorer(run.method), own


@pytest.mark.parametrize("recipe", ["published", "encoder"])
def test_a_search_that_compacts_is_the_same_to_the_bit_in_any_company(recipe):
    """Few latents move at once, and images are done after different numbers of steps."""
    run = tiny.prepare("anogan", search__recipe=recipe, search__together=3, search__tolerance=0.02)
    scorer, own = scorer_of(run)
    patches = np.stack(run.source.test[:16])
    scores = scorer(own, patches, np.zeros(16, bool)).scores["anomaly"]
    order = np.random.default_rng(1).permutation(16)
    np.testing.assert_array_equal(
        scorer(own, patches[order], np.zeros(16, bool)).scores["anomaly"], scores[order]
    )
    some = np.arange(16) >= 5
    np.testing.assert_array_equal(scorer(own, patches, some).scores["anomaly"][:5], scores[:5])


def test_local_devices_share_patches():
    run = tiny.prepare("anogan")
    scorer, own = scorer_of(run)
    shared = over_devices(scorer)
    assert jax.local_device_count() == 2
    patches = np.stack(run.source.test[:7])
    for count in (6, 7):  # 7 do not divide
        absent = np.arange(count) >= 5
        expected = scorer(own, patches[:count], absent)
        found = shared(own, patches[:count], absent)
        for name, values in expected.scores.items():
            np.testing.assert_allclose(found.scores[name][:5], values[:5], rtol=1e-4)
    assert len(shared(own, patches[:6]).reconstructions.sharding.device_set) == 2


def test_a_search_in_bfloat16_ends_near_and_is_scored_in_full():
    """The score is L in float32 at the z that was found."""
    full, half = (tiny.prepare("anogan", search__precision=one) for one in ("float32", "bfloat16"))
    patches = np.stack(full.source.test[:4])
    scorer, own = scorer_of(full)
    expected = scorer(own, patches).scores["anomaly"]
    found = scorer_of(half)[0](own, patches)
    np.testing.assert_allclose(found.scores["anomaly"], expected, rtol=0.02)
    images = normalise(patches, full.method.normalisation)
    residual = np.abs(images - found.reconstructions).sum((1, 2, 3))
    np.testing.assert_allclose(found.scores["residual"], residual, rtol=1e-5)


def test_scores_are_the_same_to_the_bit_in_any_company_and_order(scoring):
    score, _ = scoring
    together = score(ROWS).values
    shuffled = np.random.default_rng(0).permutation(ROWS)
    again = score(shuffled).values
    alone = {row: score([row]).values for row in (0, 7, 39)}
    with_others = score([39, 7, 0, *range(50, 63)]).values
    for name, values in together.items():
        assert np.isfinite(values).all()
        np.testing.assert_array_equal(again[name], values[shuffled], err_msg=name)
        for row, single in alone.items():
            assert single[name][0] == values[row], name
        np.testing.assert_array_equal(with_others[name][:3], values[[39, 7, 0]], err_msg=name)


def test_chunk_sizes_agree_within_rounding(scoring):
    score, _ = scoring
    first = score(ROWS, chunk=16).values
    for chunk in (5, 64):
        for name, values in score(ROWS, chunk=chunk).values.items():
            np.testing.assert_allclose(values, first[name], rtol=1e-4, err_msg=name)


def test_residual_scores_are_those_of_the_reconstruction(scoring):
    score, method = scoring
    found = score(ROWS, keep=(0, 25))
    assert method.default_score in found.values
    kept = {0, 25} if method.name in tiny.RECONSTRUCTING else set()
    assert found.reconstructions.keys() == kept
    run = tiny.prepare(method.name)
    for row, reconstruction in found.reconstructions.items():
        image = np.asarray(normalise(run.source.test[row], run.method.normalisation))
        residual = image - reconstruction
        np.testing.assert_allclose(found.values["l1"][row], np.abs(residual).mean(), rtol=1e-4)
        np.testing.assert_allclose(found.values["l2"][row], (residual**2).mean(), rtol=1e-4)


@pytest.mark.parametrize("name", ["bigan", "dense_discriminator"])
def test_flips_are_means_over_mirror_images(name):
    run = tiny.prepare(name, data__flips=True, score__flips="all")
    own = ScoringState(shaken_weights(run.method), run.method.hparams, jax.random.key(3))
    patches = np.stack(run.source.test[:3])
    found = make_scorer(run.method, maps=True)(own, patches)
    plain = make_scorer(run.method._replace(flips=False), maps=True)
    axes = ((), 1, 2, (1, 2))
    views = [plain(own, np.flip(patches, one)) for one in axes]
    for key, values in found.scores.items():
        expected = np.mean([view.scores[key] for view in views], axis=0)
        np.testing.assert_allclose(values, expected, rtol=1e-5, err_msg=key)
    for key, values in found.maps.items():
        turned = [np.flip(view.maps[key], one) for view, one in zip(views, axes, strict=True)]
        np.testing.assert_allclose(values, np.mean(turned, axis=0), rtol=1e-4, atol=1e-6)
        largest = np.abs(np.mean(turned, axis=0) - np.mean([v.maps[key] for v in views], axis=0))
        assert largest.max() > 1e-4, key  # or maps that were not turned back would pass
    if found.reconstructions is not None:
        np.testing.assert_allclose(found.reconstructions, views[0].reconstructions, atol=1e-6)


def test_flips_without_flips_in_training_are_refused():
    with pytest.raises(UserError, match=r"digits.*--config.score.flips=none"):
        tiny.prepare("bigan", score__flips="all")


def test_raw_weights_are_those_of_the_last_phase():
    """What it froze is what it was trained against: the average."""
    run = tiny.prepare("sencebgan")
    state = member(init_population(run.method, [0]), 0)
    shifted = jax.tree.map(lambda leaf: leaf + 1, state.weights.params)
    state = state._replace(weights=state.weights._replace(params=shifted))
    assert weights_of_test(run.system, state) is state.ema
    system = with_settings(run.system, with_values(run.settings, {"score.weights": "raw"}))
    raw = weights_of_test(system, state)
    for net, params in raw.params.items():
        expected = shifted[net] if net == "return_encoder" else state.ema.params[net]
        jax.tree.map(np.testing.assert_array_equal, params, expected)
    own = scoring_state(system, jax.tree.map(lambda leaf: leaf[None], state), 0)
    jax.tree.map(np.testing.assert_array_equal, own.weights, raw)
