"""Any bytes in config.json and any override: a config that resolves, or a UserError in one line."""

import json
import string

import pytest
from absl import flags
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from semad.config import files
from semad.config.flags import define_config_flag, parse_flags, with_config_file
from semad.config.overrides import config_names, named, override
from semad.config.settings import flatten, nest, resolve
from semad.errors import UserError
from semad.run.population import population
from semad.run.state import phase_bounds
from semad.run.system import build
from tests import tiny
from tests.complaints import one_line

STORED = {name: nest(flatten(resolve(named(name, "smoke")))) for name in config_names()}
KEYS = sorted({key for stored in STORED.values() for key in flatten(stored)})
NUMBERS = [0, 1, -1, 2**31, 2**63, 10**30, 10**400, 1e39, 1e308, -0.0, float("nan"), float("inf")]
TEXTS = ["", "None", "all", "IN,IN", "\0", "\ud800", "a\nb", "x" * 3_000, "lr.e=1;lr.e=1", ";;=,"]
ODD = st.sampled_from([None, True, *NUMBERS, *TEXTS, [], [1], {}, {"a.b": 1}, [[{}]]])
VALUES = ODD | st.integers() | st.floats() | st.text(max_size=20)
NAMES = st.sampled_from([*KEYS, "train", "lr", "lr.x", "a.b", "", ".name", "items", "__class__"])
QUICK = settings(
    max_examples=150,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)


def complaint_of(call):
    """The message of a UserError; None for a call that ends well. Nothing else may be raised."""
    try:
        call()
    except UserError as error:
        message = str(error)
        assert message.strip()
        assert len(message.splitlines()) == 1
        assert len(message) <= 1_000
        return message
    return None


def load(tmp_path, content):
    (tmp_path / "config.json").write_bytes(content)
    return complaint_of(lambda: resolve(files.load(tmp_path)))


@st.composite
def mutated(draw):
    """A stored config with values of another kind, without keys, or with others."""
    stored = json.loads(json.dumps(STORED[draw(st.sampled_from(sorted(STORED)))]))
    for _ in range(draw(st.integers(1, 3))):
        sections = [part for part in stored.values() if isinstance(part, dict) and part]
        section = draw(st.sampled_from([*sections, stored]))
        key = draw(st.sampled_from(sorted(section))) if section else "x"
        change = draw(st.sampled_from(["value", "value", "missing", "other"]))
        if change == "missing":
            section.pop(key, None)
        else:
            section[key if change == "value" else draw(NAMES)] = draw(VALUES)
    return stored


@QUICK
@given(mutated())
def test_any_json_in_config_json(tmp_path_factory, stored):
    message = load(tmp_path_factory.getbasetemp(), json.dumps(stored).encode())
    assert message is None or "config" in message


@QUICK
@given(st.data())
def test_any_bytes_in_config_json(tmp_path_factory, data):
    content = bytearray(json.dumps(STORED["bigan"]).encode())
    for _ in range(data.draw(st.integers(0, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.integers(0, len(content)))] + data.draw(st.binary(max_size=9))
    load(tmp_path_factory.getbasetemp(), bytes(content))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"\xff\xfe\x00", "no config of semad"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a": ' * 5_000 + b"1" + b"}" * 5_000, "no config of semad"),
        (b'{"seed": 1, "seed": 2}', "'seed' is there twice"),
        (b'{"seed": NaN}', "NaN is no value"),
        (b'{"seed": ' + b"9" * 5_000 + b"}", "no config of semad"),
        (b" " * 2**20 + b"{}", "more than 1,048,576 bytes"),
        (b"3", "a int, where an object belongs"),
    ],
)
def test_what_is_said_of_damaged_bytes(tmp_path, content, says):
    assert says in load(tmp_path, content)
    message = one_line(lambda: files.check_streams(tmp_path), tmp_path / "config.json", says)
    assert "restore it, or train in a new --workdir" in message


def test_a_stored_value_out_of_place_is_named_with_its_file(tmp_path):
    stored = STORED["bigan"] | {"seed": "x" * 200}
    (tmp_path / "config.json").write_text(json.dumps(stored))
    message = one_line(lambda: files.load(tmp_path), tmp_path / "config.json", "config.seed is")
    assert "x" * 70 in message
    assert "x" * 100 not in message


@QUICK
@given(NAMES, st.sampled_from(["=", " = ", ""]), VALUES)
def test_any_override(key, equals, value):
    text = value if isinstance(value, str) else repr(value)
    complaint_of(lambda: resolve(override(named("sencebgan", "smoke"), [key + equals + text])))


WORDS = st.sampled_from(
    ["--config", "-config", "--config=bigan:smoke", "--config=", "--config=bigan:x", "--", "-",
     "--workdir", "--config.lr", "--noconfig", "--config.data", "=", "~", "--config.train.epochs"]
)  # fmt: skip
OVERRIDES = st.builds(
    lambda key, value: f"--config.{key}={value}", NAMES, VALUES.map(str) | st.just("")
)
ARGUMENTS = st.lists(WORDS | OVERRIDES | st.text(string.printable, max_size=9), max_size=4)


def parse(arguments):
    values = flags.FlagValues()
    argv = with_config_file(["semad", *arguments])
    define_config_flag(argv, values)
    for name in ("workdir", "mode", "images", "output"):
        flags.DEFINE_string(name, None, "", flag_values=values)
    parse_flags(argv, values)
    return values.config


@QUICK
@given(ARGUMENTS, st.booleans())
def test_any_arguments(tmp_path_factory, arguments, given_first):
    folder = tmp_path_factory.getbasetemp() / "run"
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(STORED["bigan"]))
    first = ["--config=bigan:smoke"] if given_first else [f"--workdir={folder}"]

    def call():
        config = parse([*first, *arguments])
        if config is not None:
            resolve(config)

    complaint_of(call)


@settings(QUICK, max_examples=25)
@given(mutated())
def test_what_resolves_builds_or_is_refused(stored):
    complaint_of(lambda: build(resolve(stored)))


LARGE = {
    "population.seeds": 10**23,
    "model.latent_dim": 10**9,
    "model.components": 10**9,
    "train.batch_size": 10**9,
    "train.epochs": 2**31,
    "data.image_size": 10**6,
    "data.train_images": 10**6,
    "score.chunk": 10**9,
    "score.window": 10**9,
    "search.steps": 10**9,
    "search.restarts": 10**9,
    "loss.critic_updates": 10**6,
    "loss.generator_updates": 10**6,
}


@pytest.mark.parametrize("key", LARGE)
def test_what_no_machine_could_do_is_refused(key):
    stored = next(stored for stored in STORED.values() if key in flatten(stored))
    one_line(lambda: resolve(flatten(stored) | {key: LARGE[key]}), f"config.{key} is", "between")


def test_a_message_is_short_and_on_one_line():
    message = str(UserError("a\nb\r\nc" + "x" * 5_000))
    assert message.startswith("a b cxxx")
    assert message.endswith("xxx ...")
    assert len(message) == 1_000


def test_a_population_beyond_all_bounds():
    def members(**changes):
        return lambda: population(resolve(tiny.config("bigan", **changes)))

    points = ";".join(f"lr.generator={number}e-9" for number in range(1, 100))
    one_line(members(population__points=points, population__seeds=1_024), "101,376 members")
    one_line(members(seed=2**31 - 1, population__seeds=2), "the last seed is 2147483648")
    assert len(members(seed=2**31 - 2, population__seeds=2)()) == 2


def test_a_key_that_a_system_reads_and_its_config_lacks(tmp_path):
    flat = flatten(STORED["ebgan"])
    del flat["loss.margin"]
    one_line(lambda: build(resolve(flat)), "config.loss.margin has no value")
    flat = flatten(STORED["dense_discriminator"])
    del flat["splices.generated"]
    one_line(lambda: build(resolve(flat)), "config.splices.generated has no value")


def test_a_rate_for_no_net():
    flat = flatten(STORED["bigan"]) | {"lr.generatr": 1e-3}
    one_line(lambda: build(resolve(flat)), "config.lr.generatr is for no net of bigan", "encoder")


def test_steps_are_counted_in_32_bits():
    method = tiny.BUILT["ebgan"]  # its generator moves three times a step
    phase = method.phases[0]

    def bounds(epochs, steps_per_epoch):
        phases = (phase._replace(epochs=epochs),)
        return lambda: phase_bounds(method._replace(phases=phases), steps_per_epoch)

    assert max(update.repeat for update in phase.updates) == 3
    one_line(bounds(2**31 - 1, 1), "config.train.epochs is 2147483647", "lower it")
    one_line(bounds(1, 2**31 // 3 + 1), "715,827,883 steps per epoch")
    assert bounds(1, 2**31 // 3)()[0][2] == 2**31 // 3
