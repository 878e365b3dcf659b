"""Damaged files: one line or an image, whatever is damaged (experiments/faults.py has more)."""

import random
import time

import numpy as np
import pytest

from semad.data.images import Reading, degenerate, pages_of, read_mask, read_picture
from semad.errors import UserError
from tests.data.corpus import corpus

FILES = corpus()
WORDS = (b"\xff\xff\xff\xff", b"\0\0\0\0", b"\0\0\1\0", b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f")
TRIES = 12


def damage(data: bytes, rng: random.Random) -> bytes:
    """A copy with one to sixteen faults, half of them among the first bytes or the last."""
    damaged = bytearray(data)
    for _ in range(rng.choice([1, 1, 1, 2, 4, 16])):
        ends = [rng.randrange(min(len(damaged), 64)), -1 - rng.randrange(min(len(damaged), 300))]
        place = rng.choice([rng.randrange(len(damaged)), rng.choice(ends) % len(damaged)])
        kind = rng.randrange(6)
        if kind <= 1:
            damaged[place] ^= 1 << rng.randrange(8)
        elif kind == 2:
            damaged[place] = rng.choice([0, 1, 127, 128, 255])
        elif kind == 3:
            damaged[place : place + 4] = rng.choice([*WORDS, rng.randbytes(4)])
        elif kind == 4:
            damaged[place : place + rng.randrange(20)] = rng.randbytes(rng.randrange(20))
        elif len(damaged) > 40:
            del damaged[max(20, place) :]
    return bytes(damaged)


@pytest.mark.parametrize("name", FILES)
def test_an_undamaged_file_is_an_image(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(FILES[name])
    reading = Reading(1, pages="each")
    for page in pages_of(path, reading):
        picture = read_picture(path, reading, page)
        assert sorted(picture.pixels.shape[:2]) == [20, 24]
        assert picture.pixels.max() > 100
        if "bit" not in name:
            assert degenerate(picture.pixels) is None


@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_is_an_image_or_one_line(tmp_path, name):
    path = tmp_path / name
    rng = random.Random(name)
    for number in range(TRIES):
        path.write_bytes(damage(FILES[name], rng))
        start = time.perf_counter()
        reading = Reading(rng.choice([1, 3]), pages=rng.choice(["single", "each", "2"]))
        try:
            if number % 4 == 0:
                assert read_mask(path, (20, 24)).shape == (20, 24)
            for page in pages_of(path, reading)[:3]:
                pixels = read_picture(path, reading, page).pixels
                assert pixels.dtype in (np.uint8, np.uint16)
                assert pixels.shape[2] == reading.channels
                assert pixels.size
        except UserError as error:
            assert "\n" not in str(error)
            assert len(str(error)) < len(str(path)) + 500
        assert time.perf_counter() - start < 10
