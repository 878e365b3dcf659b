"""The dense discriminator with a pretrained network beside it, from a file of its weights."""

import json
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

import semad
from semad.commandline import FORMATS
from semad.config import files
from semad.errors import UserError
from semad.inference import score
from semad.inference.export import export
from semad.methods import dense_discriminator
from semad.methods.dense_discriminator import discriminate
from semad.modes import run as run_mode
from semad.nets.pretrained import read_weights
from semad.nets.thesis import DiscriminatorOutput
from semad.run.state import (
    init_population,
    init_state,
    member,
    parameter_count,
    read_pretrained,
    with_pretrained,
)
from semad.run.system import build
from semad.run.workdir import pretrained_checksums
from semad.sweeps.budget import parameters
from semad.teaching.teach import teach
from semad.types import Batch
from tests import backbone_file, tiny
from tests.methods.known import KEY, nets


@pytest.fixture
def backbone(tmp_path):
    return backbone_file.write(tmp_path / "weights.safetensors")


def config(backbone, **changes):
    data = {"data__name": "nanofibres", "data__train_images": 2, "data__image_size": 64}
    data |= {"data__holdout": 0.4, "data__crops_per_image": 32, "data__test_images": 2}
    given = {"model__backbone": str(backbone), "score__stride": 8, "splices__generated": 0.0}
    return tiny.config("dense_discriminator", **data | given | changes)


def assert_same(one, other):
    jax.tree.map(np.testing.assert_array_equal, one, other)


def bound(backbone):
    """The nets of a fresh run, the backbone's weights read from a file."""
    method = build(config(backbone)).method
    state = with_pretrained(init_population(method, [0]), read_pretrained(method))
    return method.bind(member(state, 0).ema)


def test_the_discriminator_sees_the_features(backbone):
    images = jax.random.uniform(KEY, (2, 32, 48, 1), minval=-1)
    logits = []
    for seed in (0, 1):
        path = backbone_file.write(backbone.with_name(f"{seed}.safetensors"), seed)
        known = bound(path)
        logits.append(jax.jit(lambda x, known=known: discriminate(known, x).logits)(images))
    assert logits[0].shape == (2, 8, 12)
    assert not np.allclose(*logits)


def test_without_one_it_sees_images_alone():
    assert set(build(config("")).method.nets) == {"discriminator"}
    seen = []
    known = nets(discriminator=lambda *inputs: seen.append(inputs) or inputs[0][:, ::4, ::4, 0])
    images = jnp.ones((2, 16, 16, 1))
    discriminate(known, images)
    assert len(seen) == 1
    assert len(seen[0]) == 1


def test_the_generator_is_judged_by_the_features_too():
    """Its gradient goes through the backbone."""
    batch = Batch(
        jax.random.uniform(KEY, (4, 16, 16, 1), minval=-1), jnp.zeros((4, 1)), jnp.float32(0)
    )

    def loss(grey):
        known = nets(
            backbone=lambda images: [images[:, ::4, ::4, 0]],
            discriminator=lambda images, features: DiscriminatorOutput(features, features),
            generator=lambda images, masks, noise: grey + 0 * images,
        )
        make = dense_discriminator.generator_loss(slice(0, 4))
        return make(known, batch, KEY, {"w_contextual": 0.0})[0]

    assert jax.grad(loss)(jnp.float32(0.1)) != 0


class Trained(NamedTuple):
    """A workdir of two members whose file of weights is gone, and what was read from it."""

    workdir: Path
    backbone: Path
    weights: dict[str, Any]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("backbone")
    path = backbone_file.write(folder / "weights.safetensors")
    run_mode("train", folder / "run", config(path, population__seeds=2))
    weights = read_weights(path)
    path.unlink()
    return Trained(folder / "run", path, weights)


def test_training_leaves_it_as_it_was_read(trained):
    first, second = (one.weights.params for one in semad.load(trained.workdir).members_)
    for params in (first, second):
        assert_same(params["backbone"], trained.weights)
    pairs = zip(*map(jax.tree.leaves, (first, second)), strict=True)
    assert any(np.any(a != b) for a, b in pairs)


def test_the_file_is_needed_where_a_run_begins_and_never_again(trained, tmp_path):
    run_mode("evaluate", trained.workdir, files.load(trained.workdir))
    metrics = json.loads((trained.workdir / "evaluation/pixel/metrics.json").read_text())
    assert metrics["config"]["model"]["backbone"] == str(trained.backbone)
    long = config(trained.backbone, population__seeds=2, train__epochs=2)
    workdir = shutil.copytree(trained.workdir, tmp_path / "run")
    run_mode("train", workdir, long)
    assert_same(semad.load(workdir).members_[1].weights.params["backbone"], trained.weights)
    stored = json.loads((workdir / "versions.json").read_text())["pretrained_sha256"]
    assert stored == pretrained_checksums({"backbone": trained.weights})


def test_a_path_can_be_corrected_in_the_same_folder(trained, tmp_path):
    with pytest.raises(UserError, match=r"config\.model\.backbone: .* is no file"):
        run_mode("train", tmp_path / "run", config(trained.backbone))
    path = backbone_file.write(tmp_path / "weights.safetensors")
    run_mode("train", tmp_path / "run", config(path))


@pytest.mark.parametrize("file_format", FORMATS)
def test_it_is_exported(file_format, trained, tmp_path):
    detector = semad.load(trained.workdir)
    image = detector.normal_.holdout[0]
    model, patches = score.load(export(detector, tmp_path / file_format, file_format))
    found = score.anomaly_map(image, model, patches)
    np.testing.assert_allclose(found, detector.anomaly_map(image), rtol=1e-3, atol=1e-4)


def test_it_is_taught(trained, tmp_path):
    (tmp_path / "outlined").mkdir()
    whole = np.zeros((64, 64), np.uint8)
    Image.fromarray(whole).save(tmp_path / "outlined/x.png")
    Image.fromarray(whole + 255).save(tmp_path / "outlined/x_mask.png")
    given = files.load(trained.workdir)
    given.train.teaching_epochs = 1
    teach(trained.workdir, given, tmp_path / "outlined", tmp_path / "taught")
    before, after = (
        semad.load(folder).members_[0].weights.params
        for folder in (trained.workdir, tmp_path / "taught")
    )
    assert_same(after["backbone"], trained.weights)
    pairs = zip(*map(jax.tree.leaves, (before, after)), strict=True)
    assert any(np.any(a != b) for a, b in pairs)


def test_a_budget_counts_what_is_trained(backbone):
    given = config(backbone)
    params = jax.eval_shape(lambda: init_state(build(given).method, 0)).weights.params
    assert parameters(given) == parameter_count(params["discriminator"]) > 0


def test_standardised_patches_are_refused(backbone):
    with pytest.raises(UserError, match="needs grey values in a fixed range") as caught:
        build(config(backbone, data__normalisation="standardise"))
    assert "\n" not in str(caught.value)
