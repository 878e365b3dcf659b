"""The rows of the schema: what each refuses, and that what they say of a key holds."""

import importlib
import math
from functools import lru_cache
from pathlib import Path

import jax
import jax.numpy as jnp
import ml_collections
import pytest

from semad.config import reference
from semad.config.knob import ABSENT
from semad.config.overrides import config_names
from semad.config.schema import SECTIONS, TRICKS, Section
from semad.config.settings import (
    changeable,
    defaults,
    flatten,
    nest,
    resolve,
    row_of,
    rows,
    traced_keys,
    with_values,
)
from semad.configs import common
from semad.data.normalisation import NORMALISATIONS
from semad.data.sources import one_vs_rest
from semad.losses import RESIDUALS, adversarial
from semad.methods import (
    METHODS,
    anogan,
    autoencoder,
    ebgan,
    encebgan,
    fanogan,
    ganomaly,
    spliced_batches,
)
from semad.methods.common import REDUCTIONS
from semad.nets.layers import INITIALIZERS
from semad.nets.thesis import PATCH_SIZES
from semad.run.state import init_population, init_state
from semad.scoring.batched import ScoringState, make_scorer
from semad.scoring.image_scores import POOLINGS
from semad.synthetic import splices
from semad.training.step import apply_update
from semad.types import Batch
from tests import tiny
from tests.complaints import one_line

ROOT = Path(__file__).parents[2]
ROWS = dict(rows())
NAMES = config_names()


def flat_config(name, *preset):
    return flatten(importlib.import_module(f"semad.configs.{name}").get_config(*preset))


def config_with(key):
    """A flat config that has the key, and the key there: `lr.<net>` stands for all nets."""
    configs = (flat_config(name) for name in NAMES)
    key = key.replace("<net>", "discriminator")
    return next(config for config in configs if key in config), key


def check_refused(key, values, right):
    """Each of the values is refused in one line that names the key and what is right."""
    config, key = config_with(key)
    for value in values:
        one_line(lambda value=value: resolve(config | {key: value}), f"config.{key} is", right)


@pytest.mark.parametrize("key", ROWS)
def test_values_of_another_type(key):
    row = ROWS[key]
    others = {
        bool: (0, 1, "true", 1.0, math.nan),
        int: (1.5, 1.0, "1", True, math.nan, math.inf),
        float: ("1", True, math.nan, math.inf, -math.inf),
        str: (1, 1.0, True, math.nan, ("a",)),
    }[row.kind]
    check_refused(key, others if row.optional else (*others, None), row.kind_name)


@pytest.mark.parametrize("key", [key for key, row in rows() if row.low is not None])
def test_values_below_the_range(key):
    check_refused(key, [ROWS[key].low - 1], ROWS[key].range_name)


@pytest.mark.parametrize("key", [key for key, row in rows() if row.high is not None])
def test_values_above_the_range(key):
    check_refused(key, [ROWS[key].high + 1], ROWS[key].range_name)


@pytest.mark.parametrize("key", [key for key, row in rows() if row.choices])
def test_values_that_are_no_choice(key):
    row, (config, _) = ROWS[key], config_with(key)
    choices = row.choices_for(config["method"])
    bad = max(choices) + 1 if row.kind is int else "other"
    check_refused(key, [bad], "one of: " + ", ".join(map(str, choices)))


@pytest.mark.parametrize("key", [key for key, row in rows() if isinstance(row.choices, dict)])
def test_choices_of_another_system(key):
    choices = ROWS[key].choices
    for method, own in choices.items():
        assert flat_config(method)[key] in own
        for value in ROWS[key].choices_for(""):
            if value not in own:
                config = flat_config(method) | {key: value}
                one_line(lambda config=config: resolve(config), key, ", ".join(own))


@pytest.mark.parametrize("key", ROWS)
def test_the_values_that_a_row_gives_are_allowed(key):
    row = ROWS[key]
    own = (row.default, row.low, row.high, row.older, *row.older_of.values())
    own += row.choices_for("") + ((None,) if row.optional else ())
    for value in own:
        if value is ABSENT or (value is None and not row.optional):
            continue
        checked = row.check(key, value)
        assert checked == value
        assert checked is None or type(checked) is row.kind


def test_ranges_and_choices_exclude_each_other():
    for key, row in rows():
        assert not (row.choices and (row.low, row.high) != (None, None)), key
        assert row.low is None or row.high is None or row.low < row.high, key
        assert row.help, key
        assert row.kind in (bool, int, float, str), key


@pytest.mark.parametrize("name", NAMES)
def test_every_key_of_a_config_has_a_row(name):
    for preset in common.PRESETS:
        config = flat_config(name, preset)
        assert [key for key in config if row_of(key) is None] == []
        settings = resolve(config)
        assert settings.preset == preset
        for key, value in flatten(settings).items():
            assert value is None or type(value) is row_of(key).kind, key


def test_the_defaults_are_those_of_the_rows():
    expected = {key: row.default for key, row in rows() if row.default is not ABSENT}
    assert flatten(defaults()) == expected
    assert flatten(common.get_config("thesis")) == expected | {"preset": "thesis"}


def test_keys_that_do_not_exist_or_are_missing():
    config = flat_config("bigan")
    for key in ("train.epoch", "epochs", "trains.epochs", "train.epochs.more"):
        assert row_of(key) is None
        assert not changeable(key)
        one_line(lambda key=key: resolve(config | {key: 1}), repr(key), "semad --help lists all")
    for key, row in rows():
        if row.default is not ABSENT:
            left = {other: value for other, value in config.items() if other != key}
            one_line(lambda left=left: resolve(left), f"config.{key} is missing")


# Rows hold literals, so that a config needs no network to be read.
REGISTRIES = {
    "data.patch_size": PATCH_SIZES,
    "data.normalisation": ("auto", *NORMALISATIONS),
    "data.protocol": one_vs_rest.PROTOCOLS,
    "model.init": tuple(INITIALIZERS),
    "model.form": autoencoder.FORMS,
    "score.pooling": POOLINGS,
    "search.recipe": tuple(anogan.RECIPES),
    "loss.adversarial_term": ganomaly.ADVERSARIAL_TERMS,
    "loss.reduction": REDUCTIONS,
    "loss.reconstruction": tuple(RESIDUALS),
    "loss.objective": {"fanogan": tuple(fanogan.OBJECTIVES)}
    | dict.fromkeys(("ebgan", "encebgan", "sencebgan"), ebgan.OBJECTIVES),
    "loss.encoder_objective": {"fanogan": fanogan.ENCODER_OBJECTIVES}
    | dict.fromkeys(("encebgan", "sencebgan"), encebgan.ENCODER_OBJECTIVES),
}


@pytest.mark.parametrize("key", REGISTRIES)
def test_choices_are_what_there_is(key):
    assert ROWS[key].choices == REGISTRIES[key]


def test_choices_of_systems_are_of_all_that_have_the_key():
    for key in ("loss.objective", "loss.encoder_objective"):
        having = {name for name in METHODS if key in flat_config(name)}
        assert having == set(REGISTRIES[key])


def test_tricks_and_splices_are_what_there_is():
    assert TRICKS == adversarial.COMBINATIONS
    shares = {"cracks", "varied"}  # of all images, not of the sources
    assert set(SECTIONS["splices"].KNOBS) == shares | set(spliced_batches.SOURCES)
    assert set(spliced_batches.SOURCES) == {"generated", *splices.SOURCES}


def test_the_page_is_up_to_date():
    """`python -m semad.config.reference` writes it."""
    assert (ROOT / "docs" / "configs.md").read_text() == reference.markdown()


def test_help_has_a_line_per_key():
    lines = reference.flags_help().splitlines()
    for key, row in rows():
        (line,) = (line for line in lines if line.startswith(f"--config.{key}: "))
        assert row.help in line


def test_settings_are_immutable():
    settings = resolve(flat_config("bigan"))
    for part, name in ((settings, "train"), (settings, "seed"), (settings.train, "epochs")):
        with pytest.raises(AttributeError, match=f"immutable; {name} cannot be set"):
            setattr(part, name, 1)
    with pytest.raises(AttributeError, match="immutable; other cannot be set"):
        settings.train.other = 1
    with pytest.raises(TypeError):
        settings.lr["generator"] = 1.0
    other = settings.train.replace(epochs=7)
    assert (other.epochs, settings.train.epochs) == (7, 50)
    assert other != settings.train
    assert dict(other) == dict(settings.train) | {"epochs": 7}


def test_a_key_that_a_system_lacks_raises():
    settings = resolve(flat_config("bigan"))
    for section, name in (("loss", "margin"), ("search", "steps"), ("train", "encoder_epochs")):
        with pytest.raises(AttributeError, match=f"config.{section}.{name} has no value"):
            getattr(getattr(settings, section), name)
        assert name not in dict(getattr(settings, section))


@pytest.mark.parametrize("name", NAMES)
def test_settings_and_flat_configs_are_each_other_s_inverse(name):
    for preset in common.PRESETS:
        config = importlib.import_module(f"semad.configs.{name}").get_config(preset)
        settings = resolve(config)
        flat = flatten(settings)
        assert flat == flatten(config)
        assert flatten(nest(flat)) == flat
        for same in (flat, nest(flat), ml_collections.ConfigDict(nest(flat))):
            assert resolve(same) == settings
        assert hash(resolve(flat)) == hash(settings)
        changes = {"train.epochs": 7, "score.name": "l1", "seed": 3}
        assert flatten(with_values(settings, changes)) == flat | changes
        assert with_values(settings, changes) != settings


def test_an_integer_of_a_float_key_becomes_a_float():
    settings = resolve(flat_config("ebgan") | {"loss.margin": 3, "lr.generator": 1})
    assert (settings.loss.margin, settings.lr["generator"]) == (3.0, 1.0)
    assert type(settings.loss.margin) is type(settings.lr["generator"]) is float


def test_which_keys_may_change_later():
    """Of whole sections all; a key that a section adds is not forgotten."""
    later = {key for key, _ in rows() if changeable(key)}
    assert later >= {key for key, _ in rows() if key.startswith(("score.", "eval.", "search."))}
    assert later - {key for key, _ in rows() if key.startswith(("score.", "eval.", "search."))} == {
        "preset", "select", "population.together", "data.dir", "data.verify", "data.data_bar",
        "data.bit_depth", "data.pages", "data.follow_links", "train.log_every", "train.image_every",
        "train.checkpoint_every", "train.checkpoint_minutes", "train.validate_every",
        "train.validation",
    }  # fmt: skip


def test_a_section_takes_types_from_annotations():
    class Both(Section):
        first: int | None = ROWS["train.epochs"]
        second: float = ROWS["score.smoothing"]

    assert [(row.kind, row.optional) for row in Both.KNOBS.values()] == [
        (int, True),
        (float, False),
    ]
    assert dict(Both({"second": 2.0, "first": None})) == {"first": None, "second": 2.0}


# Of what enters a program as a traced scalar: nothing of it may be compiled in.


@lru_cache(maxsize=4)
def programs(settings):
    """All that a method compiles of its own: initial weights, updates and scores, as text."""
    method = METHODS[settings.method](settings)
    shape = (settings.data.patch_size,) * 2 + (settings.data.channels,)
    count = settings.train.batch_size
    key = jax.eval_shape(lambda: jax.random.key(0))
    state = jax.eval_shape(lambda: init_state(method, 0))
    scalars = {name: jax.ShapeDtypeStruct((), jnp.float32) for name in method.hparams}
    batch = Batch(
        jax.ShapeDtypeStruct((count, *shape), jnp.float32),
        jax.ShapeDtypeStruct((count, method.latent_dim), jnp.float32),
        jax.ShapeDtypeStruct((), jnp.float32),
    )
    found = {"init": jax.jit(lambda: init_population(method, [0])).lower().as_text()}
    for phase in method.phases:
        training = frozenset(name for update in phase.updates for name in update.trains)
        for update in phase.updates:

            def move(*inputs, update=update, training=training):
                return apply_update(method, update, training, *inputs)

            text = jax.jit(move).lower(state, batch, key, scalars).as_text()
            found[phase.name, phase.epochs, update.name, update.repeat] = text
    scoring = ScoringState(state.ema, scalars, key)
    patches = jax.ShapeDtypeStruct((1, *shape), jnp.uint8)
    found["score"] = jax.jit(make_scorer(method)).lower(scoring, patches).as_text()
    return found


@pytest.mark.parametrize("name", tiny.NAMES)
def test_traced_values_are_not_compiled_in(name):
    """Neither zeros, which a loss might leave out, nor numbers, no two of them alike."""
    settings = resolve(tiny.config(name))
    keys = traced_keys(settings)
    assert {key for key in keys if key.startswith("lr.")} == {f"lr.{net}" for net in settings.lr}
    zeros = dict.fromkeys(keys, 0.0)
    numbers = {key: 0.1 + number / 64 for number, key in enumerate(keys)}
    one, other = (programs(with_values(settings, values)) for values in (zeros, numbers))
    assert one.keys() == other.keys()
    assert [part for part in one if one[part] != other[part]] == []


# Where a default leaves out what a traced value weighs.
ALL_ON = {
    "dense_discriminator": [{"train__density_epochs": 1}],
    "autoencoder": [{"model__form": "denoising"}, {"model__form": "regularised"}],
    "sencebgan": [{"model__allow_xx": True, "model__allow_zz": True}],
}


@pytest.mark.parametrize("name", tiny.NAMES)
def test_traced_values_are_scalars_of_the_method(name):
    reached = set()
    for changes in ALL_ON.get(name, [{}]):
        settings = resolve(tiny.config(name, **changes))
        before = METHODS[name](settings).hparams
        for key in traced_keys(settings):
            after = METHODS[name](with_values(settings, {key: 0.375})).hparams
            assert after.keys() == before.keys()
            if {scalar for scalar in after if after[scalar] != before[scalar]}:
                reached.add(key)
    assert reached == set(traced_keys(settings))


@pytest.mark.parametrize(
    ("name", "objective", "key", "value"),
    [
        ("bigan", None, "model.leaky_slope", 0.1),
        ("bigan", None, "optim.beta1", 0.9),
        ("fanogan", "wgan", "loss.clip", 0.5),
        ("ebgan", "margin", "loss.margin", 10.0),
        ("anogan", None, "search.weight", 0.5),
    ],
)
def test_other_values_are_compiled_in(name, objective, key, value):
    changes = {"loss__objective": objective} if objective else {}
    settings = resolve(tiny.config(name, **changes))
    assert key in flatten(settings)
    assert key not in traced_keys(settings)
    one, other = programs(settings), programs(with_values(settings, {key: value}))
    assert one.keys() == other.keys()
    assert one != other
