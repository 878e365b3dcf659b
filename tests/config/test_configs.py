"""Every config and preset builds its method; every key and choice is guarded."""

import importlib
import json
from pathlib import Path

import jax
import numpy as np
import pytest

from semad.config import files
from semad.config.migration import migrated_keys
from semad.config.settings import flatten, resolve, rows, with_values
from semad.configs import common
from semad.data.normalisation import resolve_normalisation
from semad.errors import UserError
from semad.methods import METHODS
from semad.run import workdir as workdirs
from semad.run.state import init_population
from semad.run.system import build
from tests import tiny

IMAGE = np.zeros((4, 4, 1), np.uint8)
FILES = sorted(
    path.stem
    for path in Path(common.__file__).parent.glob("*.py")
    if path.stem not in ("__init__", "common")
)


PRESETS = [(name, preset) for name in FILES for preset in ((), *zip(common.PRESETS))]


@pytest.mark.parametrize(("name", "preset"), PRESETS)
def test_presets_build(name, preset):
    config = importlib.import_module(f"semad.configs.{name}").get_config(*preset)
    settings = resolve(config)
    method = METHODS[settings.method](settings)
    assert method.name == config.method
    assert set(method.hparams) >= {f"lr_{net}" for net in method.nets}
    state = jax.eval_shape(lambda: init_population(method, [0, 1]))
    assert state.step.shape == (2,)


def test_every_method_has_a_config_of_its_name():
    assert set(METHODS) <= set(FILES)


# Learning rates of the generator and of the discriminator, where the thesis gives them.
GAN, SKIP, ENERGY = (5e-5, 1e-6), (5e-5, 5e-6), (1e-5, 5e-6)
THESIS_RATES = (
    dict.fromkeys(("anogan", "bigan", "ali", "alad", "ganomaly"), GAN)
    | {"skip_ganomaly": SKIP}
    | dict.fromkeys(("ebgan", "encebgan", "sencebgan"), ENERGY)
)
EPOCHS = {"ebgan": (100,), "encebgan": (100, 400), "sencebgan": (100, 100, 400)}


@pytest.mark.parametrize("name", tiny.NAMES)
def test_what_all_systems_share_is_appendix_a(name):
    config = importlib.import_module(f"semad.configs.{name}").get_config()
    assert config.train.batch_size == 64
    epochs = EPOCHS.get(name, (50,))
    method = METHODS[name](resolve(config))
    assert [phase.epochs for phase in method.phases][: len(epochs)] == [*epochs]
    convolutional = method.convolutional
    assert config.data.normalisation == ("range" if convolutional else "auto")
    expected = "range" if convolutional else "standardise"
    assert resolve_normalisation(resolve(config).data) == expected
    config.data.name = "tfds:mnist"
    assert resolve_normalisation(resolve(config).data) == "range"
    assert (config.model.latent_dim, config.model.leaky_slope) == (256, 0.2)
    assert (config.model.bn_momentum, config.model.width) == (0.8, 1.0)


@pytest.mark.parametrize("name", THESIS_RATES)
def test_the_rates_are_those_of_appendix_a(name):
    config = importlib.import_module(f"semad.configs.{name}").get_config()
    generator, discriminator = THESIS_RATES[name]
    assert (config.optim.beta1, config.optim.beta2) == (0.5, 0.999)
    assert set(config.lr.values()) <= {generator, discriminator, 1e-6, 5e-5}
    first = "decoder" if name == "ganomaly" else "generator"
    last = "discriminator_xz" if name == "alad" else "discriminator"
    assert (config.lr[first], config.lr[last]) == (generator, discriminator)


def test_an_unknown_preset():
    with pytest.raises(ValueError, match="no preset 'big'; there are thesis, medium, small, smoke"):
        common.get_config("big")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("model.init", "he", "must be one of: normal, xavier"),
        ("data.patch_size", 48, "must be one of: 16, 32, 64, 128"),
        ("method", "gan", "must be one of: alad, ali, anogan"),
        ("train.batch_size", 1, "must be between 2 and 65536"),
        ("data.holdout", 0.0, "must be between 0.01 and 0.9"),
        ("lr.generator", -1.0, "config.lr.generator is -1.0"),
        ("data.normalisation", "zscore", "must be one of: auto, range, standardise"),
        ("score.weights", "best", "must be one of: ema, raw"),
        ("train.ema_share", 2.0, "must be between 0 and 1"),
        ("score.threshold_rate", 1.5, "must be between 0.0 and 1.0"),
    ],
)
def test_values_out_of_place(key, value, message):
    config = tiny.config("bigan")
    with config.unlocked():
        target, names = config, key.split(".")
        for name in names[:-1]:
            target = target[name]
        target[names[-1]] = value
    with pytest.raises(UserError, match=message) as caught:
        build(config)
    assert "\n" not in str(caught.value)


def test_every_row_is_a_key_of_some_config():
    keys = set()
    for name in FILES:
        config = importlib.import_module(f"semad.configs.{name}").get_config()
        keys |= {"lr.<net>" if key.startswith("lr.") else key for key in flatten(config)}
    assert keys == {key for key, _ in rows()}


@pytest.mark.parametrize("method", ["anogan", "dense_discriminator"])
def test_an_older_workdir_gets_the_keys_that_came_later(method, tmp_path):
    system = build(tiny.config(method))
    files.store(tmp_path, system.settings)
    stored = json.loads((tmp_path / "config.json").read_text())
    for key in migrated_keys(method):
        section, _, name = key.rpartition(".")
        if not section or section in stored:
            del (stored[section] if section else stored)[name]
    stored["lr"].pop("density", None)
    (tmp_path / "config.json").write_text(json.dumps(stored))
    loaded, own = flatten(files.load(tmp_path)), flatten(system.settings)
    changed = {key for key, value in own.items() if loaded[key] != value}
    # What is no longer the default: an older run keeps what it was trained with.
    old = {"data.normalisation": "range", "model.bn_epsilon": 1e-5, "train.ema_share": 1 / 9}
    old |= {"data.bit_depth": 16}
    assert loaded["data.borders"] == 0
    if method == "anogan":
        old |= {"search.recipe": "published", "train.encoder_epochs": 0}
    assert {key: loaded[key] for key in old} == old
    assert loaded.keys() == own.keys()
    if method == "dense_discriminator":
        assert changed == {"data.bit_depth", "data.borders"}
    else:
        assert changed == set(old)
    assert build(files.load(tmp_path)).method.name == method
    if method == "dense_discriminator":
        check_same_run(tmp_path, tiny.config(method, data__borders=0.0))
    with pytest.raises(UserError, match="begun by an older semad, whose random numbers"):
        files.check_streams(tmp_path)


@pytest.mark.parametrize(("stored", "now"), [(True, "all"), (False, "none"), (None, "none")])
def test_mirror_images_of_an_older_workdir(stored, now, tmp_path):
    config = tiny.config("dense_discriminator").to_json_best_effort()
    config = json.loads(config)
    config["score"]["flips"] = stored
    if stored is None:
        del config["score"]["flips"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert files.load(tmp_path).score.flips == now


def test_a_pooling_of_an_older_workdir(tmp_path):
    config = json.loads(tiny.config("bigan").to_json_best_effort())
    config["score"]["pooling"] = "tenth"
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert files.load(tmp_path).score.pooling == "top"


def test_what_leaves_an_older_run_what_it_was():
    """Every value that `migrate` adds, as the keys came one by one."""
    added = {
        "data.crops": 0,
        "data.borders": 0.0,
        "data.pyramid": 1,
        "data.bit_depth": 16,
        "data.pages": "single",
        "data.follow_links": False,
        "train.checkpoint_minutes": 10.0,
        "data.normalisation": "range",
        "model.bn_epsilon": 1e-5,
        "train.cooldown": 0.0,
        "train.ema_share": 1 / 9,
        "score.weights": "ema",
        "population.points": "",
        "population.together": 0,
        "score.window": 0,
        "score.flips": "none",
        "eval.purpose": None,
        "train.validation": "reconstruction",
        "score.member": -1,
        "score.smoothing": 0.0,
        "score.pooling": "max",
        "score.min_area": 20,
        "score.nm_per_pixel": None,
        "score.formats": "coco",
        "score.fibres": False,
        "select": "none",
        "splices.cracks": 0.0,
        "splices.sheet": 0.0,
        "splices.varied": 0.0,
        "search.recipe": "published",
        "search.tolerance": None,
        "search.restarts": 0,
        "search.together": 0,
        "search.precision": "float32",
    }
    assert migrated_keys("bigan") == added
    assert migrated_keys("anogan") == added | {"train.encoder_epochs": 0}


def test_outlines_had_the_rate_of_images(tmp_path):
    files.store(tmp_path, resolve(tiny.config("bigan", score__threshold_rate=0.125)))
    stored = json.loads((tmp_path / "config.json").read_text())
    del stored["score"]["pixel_rate"]
    stored["loss"]["embedding"] = 1.0  # nothing reads it any more
    (tmp_path / "config.json").write_text(json.dumps(stored))
    loaded = files.load(tmp_path)
    assert loaded.score.pixel_rate == 0.125
    assert "embedding" not in loaded.loss


@pytest.mark.parametrize(("stored_bar", "expected"), [(-1, -1), (40, 40), (None, 0)])
def test_the_data_bar_was_one_of_scores(tmp_path, stored_bar, expected):
    """And training kept it, where the key is missing."""
    files.store(tmp_path, resolve(tiny.config("bigan")))
    stored = json.loads((tmp_path / "config.json").read_text())
    del stored["data"]["data_bar"]
    if stored_bar is not None:
        stored["score"]["data_bar"] = stored_bar
    (tmp_path / "config.json").write_text(json.dumps(stored))
    assert files.load(tmp_path).data.data_bar == expected


def test_a_stored_config_comes_back(tmp_path):
    run = tiny.prepare("anogan", eval__purpose="a look")
    workdirs.store(tmp_path, run)
    loaded = files.load(tmp_path)
    assert flatten(loaded) == flatten(run.settings) | {"eval.purpose": None}
    assert resolve(loaded) == with_values(run.settings, {"eval.purpose": None})
    loaded.data.dir = "somewhere"  # still typed as text after a round trip through null
    with pytest.raises(TypeError):
        loaded.data.dir = 3
    versions = json.loads((tmp_path / "versions.json").read_text())
    assert versions["packages"]["jax"] == jax.__version__
    assert versions["backend"] == jax.default_backend()
    normal = workdirs.load_normal(tmp_path)
    assert (normal.seen, normal.part) == (run.normal.seen, run.normal.part)
    for image, expected in zip(normal.images, run.normal.images, strict=True):
        np.testing.assert_array_equal(image, expected)


def check_same_run(workdir, config):
    system = build(config)
    workdirs.check_same_run(workdir, system.settings, system.method)


def test_what_makes_another_run(tmp_path):
    check_same_run(tmp_path, tiny.config("bigan"))  # nothing is there yet
    files.store(tmp_path, resolve(tiny.config("bigan")))
    for free in ({"train__epochs": 9}, {"score__stride": 4}, {"data__dir": "x"}):
        check_same_run(tmp_path, tiny.config("bigan", **free))
    with pytest.raises(UserError, match="config.model.width = 0.03125, not 0.5"):
        check_same_run(tmp_path, tiny.config("bigan", model__width=0.5))
    with pytest.raises(UserError, match="config.method = 'bigan', not 'anogan'"):
        check_same_run(tmp_path, tiny.config("anogan"))


def test_input_noise_goes_by_the_length_of_a_run(tmp_path):
    """So a run with it cannot be prolonged to what a longer one would have been."""
    files.store(tmp_path, resolve(tiny.config("bigan", population__tricks="none,IN+SL")))
    longer = tiny.config("bigan", population__tricks="none,IN+SL", train__epochs=9)
    with pytest.raises(UserError, match="config.train.epochs = 1, not 9"):
        check_same_run(tmp_path, longer)


def test_a_cooldown_goes_by_the_length_of_a_run(tmp_path):
    """That of teaching is not cooled, so more of it can follow."""
    config = tiny.config("recommended", train__cooldown=0.5, train__teaching_epochs=1)
    files.store(tmp_path, resolve(config))
    with pytest.raises(UserError, match="config.train.epochs = 1, not 9"):
        check_same_run(tmp_path, tiny.config("recommended", train__epochs=9))
    config.train.teaching_epochs = 9
    check_same_run(tmp_path, config)


def test_only_the_last_phase_can_be_prolonged(tmp_path):
    """More epochs of an earlier one would move the start of those behind it."""
    files.store(tmp_path, resolve(tiny.config("fanogan")))
    check_same_run(tmp_path, tiny.config("fanogan", train__encoder_epochs=9))
    with pytest.raises(UserError, match="config.train.epochs = 1, not 9"):
        check_same_run(tmp_path, tiny.config("fanogan", train__epochs=9))


def test_an_older_run_is_not_continued_as_another_run(tmp_path):
    """Its patches were not standardised: it can be scored, but not trained by a new config."""
    for name, message in (
        ("anogan", "config.data.normalisation = 'range', not 'auto'"),
        ("bigan", "a run of bigan by an older semad, whose networks were others"),
    ):
        config = tiny.config(name)
        files.store(tmp_path, resolve(config))
        stored = json.loads((tmp_path / "config.json").read_text())
        del stored["data"]["normalisation"]
        (tmp_path / "config.json").write_text(json.dumps(stored))
        with pytest.raises(UserError, match=message):
            check_same_run(tmp_path, config)


@pytest.mark.parametrize(("name", "objective"), [("fanogan", "margin"), ("ebgan", "gan")])
def test_an_objective_of_another_system(name, objective):
    with pytest.raises(UserError, match="config.loss.objective is .* must be one of: .*wgan_gp"):
        resolve(tiny.config(name, loss__objective=objective))


@pytest.mark.parametrize("content", [None, "{", "[]", "{}"])
def test_a_workdir_without_a_readable_config(tmp_path, content):
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    with pytest.raises(UserError, match="config.json"):
        files.load(tmp_path)


def test_other_training_images_make_another_run(tmp_path):
    workdirs.check_same_data(tmp_path, [IMAGE])  # nothing is trained there yet
    run = tiny.prepare("bigan")
    workdirs.store(tmp_path, run._replace(source=run.source._replace(train=[IMAGE, IMAGE])))
    workdirs.check_same_data(tmp_path, [IMAGE, IMAGE])
    for other in ([IMAGE], [IMAGE, IMAGE + 1], [IMAGE, IMAGE.reshape(2, 8, 1)]):
        with pytest.raises(UserError, match="other training images"):
            workdirs.check_same_data(tmp_path, other)
