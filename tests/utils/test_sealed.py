"""A bit that flips is noticed, in every file that a manifest names and in every sealed record."""

import json
import random

import pytest

from semad.utils.cache import load_cached, store_cached
from semad.utils.sealed import MANIFEST, damage, read_sealed, write_manifest, write_sealed

RECORD = {"score": 0.25, "names": ("a", "é"), "none": None, "nested": {"1": [True, 2]}}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "a").write_bytes(bytes(range(256)))
    (tmp_path / "deep" / "er" / "b").write_bytes(b"x")
    (tmp_path / "empty").touch()
    write_manifest(tmp_path)
    return tmp_path


def test_what_is_as_it_was_written(folder):
    assert damage(folder) is None
    assert set(json.loads((folder / MANIFEST).read_text())) == {"a", "deep/er/b", "empty"}
    (folder / "stray").touch()
    assert damage(folder) is None


def test_every_single_bit_of_a_file(folder):
    path = folder / "a"
    content = path.read_bytes()
    for bit in range(0, 8 * len(content), 101):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        assert damage(folder) == "a is not as sha256.json has it"


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda folder: (folder / "a").unlink(), "a, which sha256.json names, is missing"),
        (lambda folder: (folder / "a").write_bytes(b""), "a is not as sha256.json has it"),
        (lambda folder: (folder / "deep/er/b").write_bytes(b"xx"), "deep/er/b is not as"),
        (lambda folder: (folder / "empty").write_bytes(b"\0"), "empty is not as"),
        (lambda folder: (folder / MANIFEST).write_text("{"), f"{MANIFEST} is not as"),
        (lambda folder: (folder / MANIFEST).write_text("[1]"), f"{MANIFEST} is not as"),
        (lambda folder: (folder / MANIFEST).write_text('{"a": 3}'), f"{MANIFEST} is not as"),
    ],
)
def test_what_is_damaged_is_named(folder, spoil, says):
    spoil(folder)
    assert damage(folder).startswith(says)


def test_without_a_manifest_nothing_is_known(folder):
    (folder / MANIFEST).unlink()
    (folder / "a").write_bytes(b"")
    assert damage(folder) is None
    with pytest.raises(FileNotFoundError):
        damage(folder / "none")


def test_a_sealed_record(tmp_path):
    path = tmp_path / "record.json"
    write_sealed(path, RECORD)
    assert read_sealed(path) == json.loads(json.dumps(RECORD))
    assert read_sealed(tmp_path / "none.json") is None


def test_a_sealed_record_with_a_flipped_bit_is_none(tmp_path):
    path = tmp_path / "record.json"
    write_sealed(path, RECORD)
    content, expected = path.read_bytes(), json.loads(json.dumps(RECORD))
    for bit in random.Random(0).sample(range(8 * len(content)), 400):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        # Of white space, or of the name of the checksum, nothing is lost.
        read = read_sealed(path)
        assert read is None or {key: read[key] for key in expected} == expected


def test_a_damaged_cache_is_computed_again(tmp_path):
    store_cached(tmp_path, "thresholds", {"step": 3}, {"image": 1.25})
    assert load_cached(tmp_path, "thresholds", {"step": 3}) == {"image": 1.25}
    assert load_cached(tmp_path, "thresholds", {"step": 4}) is None
    path = tmp_path / "thresholds.json"
    path.write_text(path.read_text().replace("1.25", "9.25"))
    assert load_cached(tmp_path, "thresholds", {"step": 3}) is None
