"""The density of the dense discriminator's features: what it says, and when it is learnt."""

import json
import shutil
from functools import partial
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from scipy import special

import semad
from semad.commandline import FORMATS
from semad.config import files
from semad.errors import UserError
from semad.inference import score
from semad.inference.export import export
from semad.methods import dense_discriminator
from semad.modes import run as run_mode
from semad.nets.mixture import Density, FeatureDensity, GaussianMixture
from semad.nets.thesis import DiscriminatorOutput
from semad.run import workdir as workdirs
from semad.run.prepare import prepare
from semad.run.state import init_population, member
from semad.run.system import build
from semad.teaching.teach import _beginning, teach
from semad.types import Batch
from tests import tiny
from tests.methods.known import KEY, nets

FEATURES = jax.random.normal(KEY, (3, 8, 12, 5))
PROBABILITIES = jax.random.uniform(jax.random.key(1), (3, 8, 12))


def config(**changes):
    data = {"data__name": "nanofibres", "data__train_images": 2, "data__image_size": 64}
    data |= {"data__holdout": 0.4, "data__crops_per_image": 32, "data__test_images": 2}
    given = {"splices__generated": 0.0, "train__density_epochs": 2, "train__batch_size": 16}
    return tiny.config("dense_discriminator", **data | given | changes)


@pytest.fixture
def density():
    """A net and its variables after it has followed a batch."""
    net = FeatureDensity(3, 0.0)
    variables = net.init(KEY, FEATURES, PROBABILITIES, train=False)
    _, changed = net.apply(variables, FEATURES, PROBABILITIES, train=True, mutable=["batch_stats"])
    return net, variables | changed


def means(values, size, stride, margin):
    """Over windows, of what is inside: (N, h, w, F)."""
    count, height, width, features = values.shape
    found = np.zeros((count, height // stride, width // stride, features))
    for row, column in np.ndindex(found.shape[1:3]):
        top, left = row * stride - margin, column * stride - margin
        window = values[:, max(0, top) : top + size, max(0, left) : left + size]
        found[:, row, column] = window.mean(axis=(1, 2))
    return found


def log_densities(variables):
    """Of the features around every 2×2 cells: (3, 4, 6)."""
    around = means(np.asarray(FEATURES), 6, 2, 2)
    parts = {name: tree["GaussianMixture_0"] for name, tree in variables.items()}
    logs = GaussianMixture(3, 0.0).apply(parts, around.reshape(-1, 5), train=False)
    return np.asarray(logs).reshape(3, 4, 6)


def test_the_density_is_that_of_features_around(density):
    net, variables = density
    found = net.apply(variables, FEATURES, PROBABILITIES, train=False)
    logs = log_densities(variables)
    expected = jax.image.resize(jnp.asarray(logs), (3, 8, 12), "linear")
    np.testing.assert_allclose(found.log_density, expected, rtol=1e-4)


def test_rare_features_add_up_to_a_standard_deviation(density):
    net, variables = density
    found = net.apply(variables, FEATURES, PROBABILITIES, train=False)
    logs = log_densities(variables)
    smooth = means(logs[..., None], 9, 1, 4)[..., 0]
    rarity = -np.asarray(jax.image.resize(jnp.asarray(smooth), (3, 8, 12), "linear"))
    # A momentum of 0: the running statistics are those of the one batch.
    normal = (rarity - rarity.mean()) / np.sqrt(rarity.var() + 1e-5)
    spread = np.sqrt(np.asarray(PROBABILITIES).var() + 1e-5)
    expected = np.asarray(PROBABILITIES) + spread * special.expit(normal)
    np.testing.assert_allclose(found.fused, expected, rtol=1e-3)


def test_a_rare_feature_is_seen(density):
    """Far from all others, in one image: there alone the score rises."""
    net, variables = density
    rare = FEATURES.at[1].add(20.0)
    found = net.apply(variables, rare, PROBABILITIES, train=False)
    known = net.apply(variables, FEATURES, PROBABILITIES, train=False)
    assert (found.log_density[1] < known.log_density[1]).all()
    assert (found.fused[1] > known.fused[1]).all()
    np.testing.assert_array_equal(found.fused[::2], known.fused[::2])


def test_the_loss_is_minus_the_mean_log_density_of_normal_patches():
    images = jax.random.uniform(KEY, (4, 16, 16, 1), minval=-1)
    seen = []

    def density(features, probabilities):
        seen.append((features, probabilities))
        return Density(features[..., 0], probabilities)

    def judge(x):
        logits = x[:, ::4, ::4, 0]
        return DiscriminatorOutput(logits, 3 * logits[..., None])

    known = nets(discriminator=judge, density=density)
    batch = Batch(images, jnp.zeros((4, 1)), jnp.float32(0))
    found, _ = dense_discriminator.density_loss(known, batch, KEY, {})
    cells = np.asarray(images[:, ::4, ::4, 0])
    assert float(found) == pytest.approx(-3 * cells.mean(), rel=1e-5)
    np.testing.assert_allclose(seen[0][1], special.expit(cells), rtol=1e-5)


def test_without_epochs_there_is_none():
    method = build(config(train__density_epochs=0)).method
    assert method.nets.keys() == {"discriminator"}
    assert (method.default_score, method.candidates) == ("discriminator", ())


def test_it_is_learnt_last_and_by_itself():
    method = build(config(train__teaching_epochs=1)).method
    assert [phase.name for phase in method.phases] == ["splices", "teaching", "density"]
    assert [update.trains for update in method.phases[-1].updates] == [("density",)]
    assert (method.default_score, method.candidates) == ("fused", ("fused",))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("density") / "run"
    run_mode("train", workdir, config())
    return workdir


def state_of(workdir):
    return workdirs.restore(workdir, build(files.load(workdir)))


def test_the_discriminator_stays_as_it_was(trained, tmp_path):
    run_mode("train", tmp_path / "without", config(train__density_epochs=0))
    whole, without = state_of(trained), state_of(tmp_path / "without")
    one, other = (state.ema.params["discriminator"] for state in (whole, without))
    jax.tree.map(np.testing.assert_array_equal, one, other)
    fresh = init_population(build(config()).method, [0]).ema.params["density"]
    moved = jax.tree.map(lambda a, b: np.abs(a - b).max(), fresh, whole.ema.params["density"])
    assert min(jax.tree.leaves(moved)) > 0


def test_scores_of_a_run(trained):
    model = semad.restore(trained)
    scored = model.maps(np.asarray(jax.random.uniform(KEY, (64, 64))))
    assert set(scored) >= {"discriminator", "probability", "density", "fused"}
    added = scored["fused"] - scored["probability"]
    spread = member(state_of(trained).ema, 0).batch_stats["density"]["BatchNorm_0"]["var"][0]
    assert added.min() >= 0
    assert added.max() <= np.sqrt(spread + 1e-5) * 1.001


@pytest.mark.parametrize("protocol", ["pixel", "thesis_tiles"])
def test_the_validator_chooses_among_the_candidates(protocol, trained, tmp_path):
    """Tiles are not smoothed, so that there is one setting."""
    workdir = shutil.copytree(trained, tmp_path / "run")
    run_mode("evaluate", workdir, config(select="synthetic", eval__protocol=protocol))
    metrics = json.loads((workdir / "evaluation" / protocol / "metrics.json").read_text())
    selection, page = metrics["selection"], (workdir / "report.html").read_text()
    assert {row["score"] for row in selection["ranking"]} == {"fused"}
    assert (selection["runner_up"] is None) == (protocol == "thesis_tiles")
    assert ("the next best was" in page) == (protocol == "pixel")
    assert "Chosen without a label" in page


def outlined(folder):
    """A folder with an image and a missed defect in it."""
    folder.mkdir()
    image = np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8)
    mask = np.zeros((64, 64), bool)
    mask[20:40, 20:40] = True
    Image.fromarray(image).save(folder / "x.png")
    Image.fromarray(mask).save(folder / "x_mask.png")


@pytest.mark.parametrize("taught", [0, 3])
def test_what_teaching_begins_with(taught, trained):
    """The discriminator as it scored, and a density that has learnt nothing; where a run's earlier
    teaching, if any, ended."""
    system = build(config(train__teaching_epochs=5))
    run, state = prepare(system), state_of(trained)
    ended = state._replace(step=jnp.array([(1 + taught + 2) * run.steps_per_epoch]))
    begun, fresh = _beginning(ended, run, taught), init_population(system.method, system.seeds)
    assert begun.step.tolist() == [(1 + taught) * run.steps_per_epoch]
    same = partial(jax.tree.map, np.testing.assert_array_equal)
    for weights in (begun.weights, begun.ema):
        same(weights.params["discriminator"], state.ema.params["discriminator"])
        for name in ("params", "batch_stats"):
            same(getattr(weights, name)["density"], getattr(fresh.ema, name)["density"])
    opt = begun.opt_state
    same(opt["density"], fresh.opt_state["density"])
    same(opt["discriminator"], state.opt_state["discriminator"])


def test_an_unfinished_run_is_taught_from_where_it_is(trained):
    system = build(config(train__teaching_epochs=5))
    begun = _beginning(state_of(trained)._replace(step=jnp.array([1])), prepare(system), 0)
    assert begun.step.tolist() == [1]


def test_other_images_leave_nothing_to_go_on_from(trained, tmp_path, monkeypatch):
    outlined(tmp_path / "outlined")
    call = partial(teach, trained, config(train__teaching_epochs=3), tmp_path / "outlined")
    with monkeypatch.context() as patch:
        patch.setattr(workdirs, "check_same_data", mock.Mock(side_effect=UserError("others")))
        with pytest.raises(UserError, match="others"):
            call(tmp_path / "taught")
    assert workdirs.newest_step(tmp_path / "taught") is None
    call(tmp_path / "taught")
    steps = prepare(build(config(train__teaching_epochs=3))).total_steps
    assert state_of(tmp_path / "taught").step.tolist() == [steps]


def test_a_run_without_one_gets_none(tmp_path):
    """Its checkpoint has no such net; the workdir's config stays as it is."""
    without = config(train__density_epochs=0)
    run_mode("train", tmp_path, without)
    stored = (tmp_path / "config.json").read_bytes()
    with pytest.raises(UserError, match="config.train.density_epochs = 0, not 2"):
        run_mode("train", tmp_path, config())
    assert (tmp_path / "config.json").read_bytes() == stored


def test_a_population_learns_as_its_members_alone(tmp_path):
    run_mode("train", tmp_path / "both", config(population__seeds=2))
    run_mode("train", tmp_path / "second", config(seed=1))
    both, second = state_of(tmp_path / "both").ema, state_of(tmp_path / "second").ema
    close = partial(np.testing.assert_allclose, rtol=1e-2, atol=1e-3)
    jax.tree.map(close, member(both, 1).params["density"], member(second, 0).params["density"])


@pytest.mark.parametrize("file_format", FORMATS)
def test_it_is_exported(file_format, trained, tmp_path):
    detector = semad.load(trained)
    image = detector.normal_.holdout[0]
    model, patches = score.load(export(detector, tmp_path / file_format, file_format))
    found = score.anomaly_map(image, model, patches)
    np.testing.assert_allclose(found, detector.anomaly_map(image), rtol=1e-3, atol=1e-4)
