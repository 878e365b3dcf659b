"""`semad.restore`: the networks of a trained run, for scripts of one's own."""

import json
import shutil

import jax
import numpy as np
import pytest

import semad
from semad import pipeline
from semad.config import files
from semad.data.normalisation import displayed
from semad.data.patches import tile_items
from semad.data.sources.nanofibres_folder import write
from semad.run.system import scoring_state
from semad.run.workdir import restore as restore_state
from semad.scoring.batched import make_scorer
from semad.scoring.items import score_items
from tests import tiny
from tests.complaints import one_line

COUNT = 5
CODES = {
    "ali": lambda nets, x: nets.encoder(x).mean,
    "ebgan": lambda nets, x: nets.discriminator(x).code,
    "skip_ganomaly": lambda nets, x: nets.discriminator(x).features,
    "vae": lambda nets, x: nets.encoder(x).mean,
}
"""What encodes, where it is not the answer of a net named encoder."""


def no_data(*_):
    raise AssertionError("data were read")


@pytest.fixture(scope="module", params=tiny.NAMES)
def trained(request, tmp_path_factory):
    """A run of an epoch, and patches of its test set."""
    workdir = tmp_path_factory.mktemp(request.param)
    run = tiny.prepare(request.param)
    pipeline.train(run, workdir)
    return workdir, run, np.stack(run.source.test[:COUNT])


@pytest.fixture(scope="module")
def model(trained):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("semad.data.sources.load", no_data)
        return semad.restore(trained[0])


@pytest.fixture(scope="module")
def population(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("population")
    run = tiny.prepare("autoencoder", population__seeds=2)
    pipeline.train(run, workdir)
    return workdir, run, np.stack(run.source.test[:COUNT])


def answer(run, model, function, *inputs):
    """What a function of the networks gives, as one program: op by op there are a hundred."""

    def call(weights, *inputs):
        return function(run.method.bind(weights), *inputs)

    return np.asarray(jax.jit(call)(model.member.weights, *inputs))


def as_networks_see(patches):
    """Digits keep the range of their grey values: [-1, 1]."""
    return (patches.astype(np.float64) / 127.5 - 1).astype(np.float32)


def test_scores_are_those_of_an_evaluation_to_the_bit(trained, model):
    workdir, run, patches = trained
    state = restore_state(workdir, run.system)
    expected = score_items(
        make_scorer(run.method),
        scoring_state(run.system, state, 0),
        run.source.test,
        tile_items(run.source.test[:COUNT], 16, 16),
        patch_size=16,
        chunk=COUNT,
    ).values
    found = model.score(patches)
    assert found.keys() == expected.keys() >= {run.system.scoring.score}
    for name, values in found.items():
        assert (values.shape, values.dtype) == ((COUNT,), np.float32)
        np.testing.assert_array_equal(values, expected[name], err_msg=name)


def test_a_score_does_not_depend_on_the_company(trained, model):
    _, _, patches = trained
    together, alone = model.score(patches), model.score(patches[2:3])
    for name, values in together.items():
        np.testing.assert_allclose(alone[name], values[2:3], rtol=1e-4, err_msg=name)
    order = np.array([3, 1, 4, 0, 2])
    for name, values in model.score(patches[order]).items():
        np.testing.assert_array_equal(values, together[name][order], err_msg=name)


def test_latents_are_those_of_the_encoder(trained, model):
    _, run, patches = trained
    name = run.method.name
    if name not in tiny.ENCODING:
        one_line(lambda: model.encode(patches), name, "has no latents")
        return
    found = model.encode(patches)
    assert found.dtype == np.float32
    if name == "anogan":  # a search, which ends at the z that its reconstruction is made of
        assert found.shape == (COUNT, model.latent_dim)
        rebuilt = answer(run, model, lambda nets, z: nets.generator(z), found)
        np.testing.assert_allclose(
            model.reconstruct(patches), displayed(rebuilt, "range"), atol=1e-5
        )
        assert model.score(patches)["residual"] == pytest.approx(
            np.abs(as_networks_see(patches) - rebuilt).sum(axis=(1, 2, 3)), rel=1e-4
        )
        return
    encode = CODES.get(name, lambda nets, x: nets.encoder(x))
    expected = answer(run, model, encode, as_networks_see(patches))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    if name != "skip_ganomaly":  # its latents are features of D, as many as the network has
        assert found.shape == (COUNT, model.latent_dim)
    assert found.std(axis=0).max() > 0
    np.testing.assert_allclose(model.encode(patches[2:3]), found[2:3], rtol=1e-4, atol=1e-6)


def test_reconstructions(trained, model):
    _, run, patches = trained
    if run.method.name not in tiny.RECONSTRUCTING:
        one_line(lambda: model.reconstruct(patches), run.method.name, "no reconstructions")
        return
    found = model.reconstruct(patches)
    assert (found.shape, found.dtype) == (patches.shape, np.float32)
    assert (found >= 0).all() and (found <= 1).all()
    residual = np.abs(patches / 255 - found).mean(axis=(1, 2, 3))
    limited = 2 * residual  # grey values of [-1, 1] count twice
    if run.method.name in ("anogan", "autoencoder", "bigan"):  # which end in a tanh
        np.testing.assert_allclose(model.score(patches)["l1"], limited, rtol=1e-4)
    if run.method.reconstruct and not run.method.searches:
        rebuilt = answer(run, model, run.method.reconstruct, as_networks_see(patches))
        np.testing.assert_allclose(found, displayed(rebuilt, "range"), atol=1e-5)


def test_samples(trained, model):
    _, run, _ = trained
    name, key = run.method.name, jax.random.key(0)
    if name not in tiny.GENERATING:
        one_line(lambda: model.generate(key, 3), name, "no generator of z")
        return
    found = model.generate(key, 3)
    assert (found.shape, found.dtype) == ((3, 16, 16, 1), np.float32)
    assert (found >= 0).all() and (found <= 1).all()
    z = jax.random.normal(key, (3, model.latent_dim))
    nets = run.method.bind(model.member.weights)
    np.testing.assert_array_equal(found, displayed(run.method.sample(nets, z), "range"))
    np.testing.assert_array_equal(model.generate(key, 3), found)
    assert (model.generate(jax.random.key(1), 3) != found).any()


def test_maps_of_an_image_of_odd_size(trained, model):
    _, run, patches = trained
    image = np.tile(patches[0, ..., 0], (3, 2))[:33, :21]
    found = model.maps(image)
    assert found.keys() == model.score(patches).keys()
    for name, values in found.items():
        assert (values.shape, values.dtype) == ((33, 21), np.float32), name
        assert np.isfinite(values).all(), name
    with pytest.raises(ValueError, match="smaller than a patch"):
        model.maps(image[:, :15])


def test_smaller_images_are_padded(trained, model):
    _, _, patches = trained
    images = [*patches[:-1], patches[-1][2:12, 3:14]]
    padded = patches.copy()
    padded[-1] = 0
    padded[-1, 3:13, 2:13] = patches[-1][2:12, 3:14]  # evenly: 3 of 6 rows above, 2 of 5 columns
    for name, values in model.score(images).items():
        np.testing.assert_array_equal(values, model.score(padded)[name], err_msg=name)


def test_what_is_no_image(population):
    workdir, _, patches = population
    model = semad.restore(workdir)
    functions = (model.score, model.encode, model.reconstruct)
    for function in functions:
        with pytest.raises(ValueError, match="an image of int64; it must be uint8"):
            function(patches.astype(np.int64))
        with pytest.raises(ValueError, match="scale it"):
            function(patches.astype(float))
        with pytest.raises(ValueError, match=r"they must be \(N, H, W\)"):
            function(patches[0, ..., 0])
        with pytest.raises(ValueError, match="patches of at most 16×16 are taken"):
            function(np.zeros((2, 17, 16), np.uint8))
    with pytest.raises(ValueError, match="it must be uint8"):
        model.maps(patches[0].astype(np.int64))


def test_every_form_of_the_same_patches(population):
    workdir, _, patches = population
    model = semad.restore(workdir)
    expected = model.score(patches)
    for same in (patches[..., 0], list(patches), patches.astype(np.uint16) * 257, patches / 255):
        for name, values in model.score(same).items():
            np.testing.assert_allclose(values, expected[name], rtol=1e-4)


def test_many_patches_are_scored_chunk_by_chunk(population):
    """The padding of the last chunk is cut off, and a place in a chunk changes nothing."""
    workdir, run, _ = population
    model = semad.restore(workdir)
    chunk = model.system.scoring.chunk
    patches = np.stack(run.source.test[: chunk + 3])
    found = model.score(patches)["l2"]
    assert found.shape == (chunk + 3,)
    np.testing.assert_array_equal(model.score(patches[::-1])["l2"], found[::-1])
    assert model.encode(patches).shape == (chunk + 3, 8)
    assert model.reconstruct(patches).shape == patches.shape


def test_the_members_of_a_population(population):
    workdir, run, patches = population
    models = [semad.restore(workdir, member=number) for number in range(2)]
    for one, other in (
        (models[0].encode(patches), models[1].encode(patches)),
        (models[0].score(patches)["l2"], models[1].score(patches)["l2"]),
    ):
        assert (one != other).all()
    state = restore_state(workdir, run.system)
    for number, one in enumerate(models):
        jax.tree.map(
            np.testing.assert_array_equal,
            one.member.weights,
            scoring_state(run.system, state, number).weights,
        )
    first = models[0].score(patches)["l2"]
    np.testing.assert_array_equal(semad.restore(workdir).score(patches)["l2"], first)
    config = files.load(workdir)
    config.score.member = 1
    chosen = semad.restore(workdir, config)
    np.testing.assert_array_equal(chosen.score(patches)["l2"], models[1].score(patches)["l2"])
    one_line(lambda: semad.restore(workdir, member=2), "the run has 2 members, from 0 on")


def test_scores_of_a_whole_evaluation(population, tmp_path):
    """scores.npz, whose chunks are shared out among devices."""
    workdir, run, _ = population
    pipeline.evaluate(run, restore_state(workdir, run.system), workdir, tmp_path)
    with np.load(tmp_path / "evaluation/one_class/scores.npz", allow_pickle=False) as arrays:
        patches = np.stack([run.source.test[row] for row in arrays["items"][:, 0]])
        for number in range(2):
            for name, values in semad.restore(workdir, member=number).score(patches).items():
                np.testing.assert_allclose(values, arrays[f"score/{name}"][number], rtol=1e-4)


def test_other_settings_of_what_scores(population):
    workdir, _, patches = population
    config = files.load(workdir)
    config.score.weights = "raw"
    raw, averaged = semad.restore(workdir, config), semad.restore(workdir)
    assert (raw.score(patches)["l2"] != averaged.score(patches)["l2"]).all()
    config.score.stride = 17
    one_line(lambda: semad.restore(workdir, config).maps(patches[0]), "config.score.stride is 17")


def test_what_cannot_be_restored(population, tmp_path):
    workdir, _, _ = population
    one_line(lambda: semad.restore(tmp_path), tmp_path, "no run here")
    config = files.load(workdir)
    config.seed = 5
    one_line(lambda: semad.restore(workdir, config), "config.seed = 0, not 5")
    shutil.copy(workdir / "config.json", tmp_path)
    one_line(lambda: semad.restore(tmp_path), "no checkpoint to restore")
    config = files.load(workdir)
    config.eval.checkpoint = "best"
    (tmp_path / "config.json").write_text(json.dumps(config.to_dict()))
    one_line(lambda: semad.restore(tmp_path), "no best checkpoint")


def test_the_data_may_be_gone(tmp_path):
    folder, workdir = tmp_path / "data", tmp_path / "run"
    write(folder, train=2, test=2, size=72)
    small = {"data__name": "folder", "data__dir": str(folder), "data__crops_per_image": 64}
    run = tiny.prepare("autoencoder", **small)
    pipeline.train(run, workdir)
    image = run.source.test[0]
    shutil.rmtree(folder)
    model = semad.restore(str(workdir))
    assert model.score(image[None, :16, :16])["l2"].shape == (1,)
    assert model.maps(image)["l2"].shape == image.shape[:2] == (72, 72)
    assert model.reconstruct(image[None, :16, :16]).shape == (1, 16, 16, 1)
