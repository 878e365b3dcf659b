"""Every config and preset builds its method; every key and choice is guarded."""

import importlib
import json
from pathlib import Path

import jax
import numpy as np
import pytest

from configs import common
from semad import config as configs
from semad import config_rules, data
from semad.errors import UserError
from semad.methods import METHODS
from semad.training.state import init_population
from tests import tiny

IMAGE = np.zeros((4, 4, 1), np.uint8)
FILES = sorted(
    path.stem
    for path in (Path(common.__file__).parent).glob("*.py")
    if path.stem not in ("__init__", "common")
)


PRESETS = [(name, preset) for name in FILES for preset in ((), *zip(common.PRESETS))]


@pytest.mark.parametrize(("name", "preset"), PRESETS)
def test_presets_build(name, preset):
    config = importlib.import_module(f"configs.{name}").get_config(*preset)
    configs.validate(config)
    method = METHODS[config.method](config)
    assert method.name == config.method
    assert set(method.hparams) >= {f"lr_{net}" for net in method.nets}
    state = jax.eval_shape(lambda: init_population(method, [0, 1]))
    assert state.step.shape == (2,)


def test_every_method_has_a_config_of_its_name():
    assert set(METHODS) <= set(FILES)


# Learning rates of the first and the last player, where the thesis gives them.
GAME, SKIP, ENERGY = (5e-5, 1e-6), (5e-5, 5e-6), (1e-5, 5e-6)
THESIS_RATES = (
    dict.fromkeys(("anogan", "bigan", "ali", "alad", "ganomaly"), GAME)
    | {"skip_ganomaly": SKIP}
    | dict.fromkeys(("ebgan", "encebgan", "sencebgan"), ENERGY)
)
EPOCHS = {"ebgan": (100,), "encebgan": (100, 400), "sencebgan": (100, 100, 400)}


@pytest.mark.parametrize("name", tiny.NAMES)
def test_what_all_systems_share_is_appendix_a(name):
    config = importlib.import_module(f"configs.{name}").get_config()
    assert config.train.batch_size == 64
    epochs = EPOCHS.get(name, (50,))
    assert [phase.epochs for phase in METHODS[name](config).phases][: len(epochs)] == [*epochs]
    convolutional = METHODS[name](config).convolutional
    assert config.data.normalisation == ("range" if convolutional else "auto")
    expected = "range" if convolutional else "standardise"
    assert data.normalisation_of(config.data) == expected
    config.data.name = "tfds:mnist"
    assert data.normalisation_of(config.data) == "range"
    assert (config.model.latent_dim, config.model.leaky_slope) == (256, 0.2)
    assert (config.model.bn_momentum, config.model.width) == (0.8, 1.0)


@pytest.mark.parametrize("name", THESIS_RATES)
def test_the_rates_are_those_of_appendix_a(name):
    config = importlib.import_module(f"configs.{name}").get_config()
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
        ("train.batch_size", 1, "must be at least 2"),
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
        configs.validate(config)
    assert "\n" not in str(caught.value)


def test_every_guarded_key_exists():
    keys = set()
    for name in FILES:
        keys |= configs.flatten(importlib.import_module(f"configs.{name}").get_config()).keys()
    guarded = (
        config_rules.CHOICES.keys() | config_rules.RANGES.keys() | config_rules.OPTIONAL.keys()
    )
    assert guarded <= keys


@pytest.mark.parametrize("method", ["anogan", "dense_discriminator"])
def test_an_older_workdir_gets_the_keys_that_came_later(method, tmp_path):
    config = tiny.config(method)
    configs.store(tmp_path, config, [IMAGE])
    stored = json.loads((tmp_path / "config.json").read_text())
    for key in config_rules.ADDED | config_rules.ADDED_BY_METHOD.get(method, {}):
        section, _, name = key.rpartition(".")
        if not section or section in stored:
            del (stored[section] if section else stored)[name]
    (tmp_path / "config.json").write_text(json.dumps(stored))
    loaded = configs.flatten(configs.load(tmp_path))
    changed = {key: value for key, value in configs.flatten(config).items() if loaded[key] != value}
    # What is no longer the default: an older run keeps what it was trained with.
    old = {"data.normalisation": "range", "model.bn_epsilon": 1e-5, "train.ema_share": 1 / 9}
    if method == "anogan":
        old |= {"search.recipe": "published", "train.encoder_epochs": 0}
    assert {key: loaded[key] for key in old} == old
    assert changed.keys() == (set() if method == "dense_discriminator" else set(old))
    assert METHODS[method](configs.load(tmp_path)).name == method
    if method == "dense_discriminator":
        configs.check_same_run(tmp_path, config)
    with pytest.raises(UserError, match="begun by an older semad, whose random numbers"):
        configs.check_streams(tmp_path)


def test_a_stored_config_comes_back(tmp_path):
    config = tiny.config("anogan")
    configs.store(tmp_path, config, [IMAGE])
    loaded = configs.load(tmp_path)
    assert configs.flatten(loaded) == configs.flatten(config)
    loaded.data.dir = "somewhere"  # still typed as text after a round trip through null
    with pytest.raises(TypeError):
        loaded.data.dir = 3
    versions = json.loads((tmp_path / "versions.json").read_text())
    assert versions["packages"]["jax"] == jax.__version__
    assert versions["backend"] == jax.default_backend()


def test_what_makes_another_run(tmp_path):
    configs.store(tmp_path, tiny.config("bigan"), [IMAGE])
    for free in ({"train__epochs": 9}, {"score__stride": 4}, {"data__dir": "x"}):
        configs.check_same_run(tmp_path, tiny.config("bigan", **free))
    with pytest.raises(UserError, match="config.model.width = 0.03125, not 0.5"):
        configs.check_same_run(tmp_path, tiny.config("bigan", model__width=0.5))
    with pytest.raises(UserError, match="config.method = 'bigan', not 'anogan'"):
        configs.check_same_run(tmp_path, tiny.config("anogan"))


def test_input_noise_goes_by_the_length_of_a_run(tmp_path):
    """So a run with it cannot be prolonged to what a longer one would have been."""
    configs.store(tmp_path, tiny.config("bigan", population__tricks="none,IN+SL"), [IMAGE])
    longer = tiny.config("bigan", population__tricks="none,IN+SL", train__epochs=9)
    with pytest.raises(UserError, match="config.train.epochs = 1, not 9"):
        configs.check_same_run(tmp_path, longer)


def test_only_the_last_phase_can_be_prolonged(tmp_path):
    """More epochs of an earlier one would move the start of those behind it."""
    configs.store(tmp_path, tiny.config("fanogan"), [IMAGE])
    configs.check_same_run(tmp_path, tiny.config("fanogan", train__encoder_epochs=9))
    with pytest.raises(UserError, match="config.train.epochs = 1, not 9"):
        configs.check_same_run(tmp_path, tiny.config("fanogan", train__epochs=9))


def test_an_older_run_is_not_continued_as_another_experiment(tmp_path):
    """Its patches were not standardised: it can be scored, but not trained by a new config."""
    for name, message in (
        ("anogan", "config.data.normalisation = 'range', not 'auto'"),
        ("bigan", "a run of bigan by an older semad, whose networks were others"),
    ):
        config = tiny.config(name)
        configs.store(tmp_path, config, [IMAGE])
        stored = json.loads((tmp_path / "config.json").read_text())
        del stored["data"]["normalisation"]
        (tmp_path / "config.json").write_text(json.dumps(stored))
        with pytest.raises(UserError, match=message):
            configs.check_same_run(tmp_path, config)


@pytest.mark.parametrize(("name", "objective"), [("fanogan", "margin"), ("ebgan", "gan")])
def test_an_objective_of_another_system(name, objective):
    with pytest.raises(UserError, match="config.loss.objective is .* must be one of: .*wgan_gp"):
        configs.validate(tiny.config(name, loss__objective=objective))


@pytest.mark.parametrize("content", [None, "{", "[]", "{}"])
def test_a_workdir_without_a_readable_config(tmp_path, content):
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    with pytest.raises(UserError, match="config.json"):
        configs.load(tmp_path)


def test_other_training_images_make_another_run(tmp_path):
    configs.check_same_data(tmp_path, [IMAGE])  # nothing is trained there yet
    configs.store(tmp_path, tiny.config("bigan"), [IMAGE, IMAGE])
    configs.check_same_data(tmp_path, [IMAGE, IMAGE])
    for other in ([IMAGE], [IMAGE, IMAGE + 1], [IMAGE, IMAGE.reshape(2, 8, 1)]):
        with pytest.raises(UserError, match="other training images"):
            configs.check_same_data(tmp_path, other)
