"""Damaged inputs: images, masks, config.json and overrides with bytes changed at random.

Every input ends in a result or in a UserError of one line; within 10 s, and within 1 GB.
"""

import json
import mmap
import os
import struct
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from semad.config import files
from semad.config.overrides import config_names, named, override
from semad.config.settings import flatten, nest, resolve
from semad.data.images import Reading, read_picture
from semad.data.labels import read_mask
from semad.errors import UserError
from semad.run.system import build
from tests.data.corpus import corpus

SLOW, LARGE = 10.0, 1.0
"""Seconds and GB that no input may take."""

_BATCH = 250
_STATE = struct.Struct("qd")


class Input(NamedTuple):
    """What is tried: a kind, its name in the corpus, its bytes."""

    kind: str
    name: str
    content: bytes


def mutate(content: bytes, draw: np.random.Generator) -> bytes:
    """The bytes with one to eight of them changed, or a part cut, doubled, zeroed or moved."""
    data = bytearray(content)
    for _ in range(int(draw.integers(1, 4))):
        if not data:
            break
        start = int(draw.integers(len(data)))
        if draw.random() < 0.5:  # most of what decides lies at the start
            start = min(start, int(draw.integers(512)))
        size = int(draw.integers(1, 33))
        how = int(draw.integers(6))
        if how <= 1:
            for place in range(start, min(len(data), start + 1 + size // 8)):
                data[place] = int(draw.choice([0, 1, 127, 128, 255, draw.integers(256)]))
        elif how == 2:
            data[start] ^= 1 << int(draw.integers(8))
        elif how == 3:
            del data[start : start + size]
        elif how == 4:
            data[start:start] = data[start : start + size]
        else:
            data = data[: max(1, start)] if draw.random() < 0.3 else data
    return bytes(data)


def inputs(count: int, seed: int) -> Iterator[Input]:
    """So many damaged inputs of all kinds."""
    draw = np.random.default_rng(seed)
    pictures = list(corpus().items())
    configs = {name: _config(name) for name in config_names()}
    names = list(configs)
    for _ in range(count):
        kind = str(draw.choice(["image", "mask", "config", "override"], p=[0.5, 0.2, 0.15, 0.15]))
        if kind in ("image", "mask"):
            name, content = pictures[int(draw.integers(len(pictures)))]
        else:
            name = names[int(draw.integers(len(names)))]
            content = configs[name] if kind == "config" else _assignment(name, draw)
        yield Input(kind, name, mutate(content, draw))


def try_input(given: Input, folder: Path) -> None:
    """Reads an input; a UserError is an answer.

    Raises:
      AssertionError: for an answer of several lines, or an impossible image.
    """
    try:
        _READERS[given.kind](given, folder)
    except UserError as error:
        assert "\n" not in str(error), "several lines"


def run(count: int, folder: Path, seed: int = 0) -> dict[str, Any]:
    """Tries many inputs, in forks that are watched.

    Args:
      count: of inputs.
      folder: for the files that are read, and for those that broke something.
      seed: of the inputs.
    """
    folder.mkdir(parents=True, exist_ok=True)
    problems: list[dict[str, Any]] = []
    slowest, largest, tried = 0.0, 0.0, 0
    while tried < count:
        size = min(_BATCH, count - tried)
        batch = list(inputs(size, seed + tried))
        done, seconds, gigabytes, problem = _watched(batch, folder)
        slowest, largest = max(slowest, seconds), max(largest, gigabytes)
        tried += done
        if problem:
            bad = batch[done - 1]
            path = folder / f"broken_{len(problems):03d}_{bad.kind}_{bad.name}"
            path.write_bytes(bad.content)
            problems.append({"kind": bad.kind, "name": bad.name, "problem": problem})
            print(path.name, problem, flush=True)
    return {
        "tries": tried,
        "survived": tried - len(problems),
        "slowest_seconds": round(slowest, 2),
        "largest_gb": round(largest, 2),
        "problems": problems,
    }


def _watched(batch: list[Input], folder: Path) -> tuple[int, float, float, str]:
    """How many of a batch were tried, the slowest, the memory of all, and what the last broke."""
    with mmap.mmap(-1, _STATE.size + 2000) as state:
        child = os.fork()
        if child == 0:
            _child(batch, folder, state)
        seen, since = -1, time.monotonic()
        while True:
            ended, status, usage = os.wait4(child, os.WNOHANG)
            number, slowest = _STATE.unpack(state[: _STATE.size])
            if ended:
                break
            if number != seen:
                seen, since = number, time.monotonic()
            if time.monotonic() - since > SLOW:
                os.kill(child, 9)
                os.wait4(child, 0)
                return number + 1, SLOW, 0.0, f"takes more than {SLOW:.0f} s"
            time.sleep(0.01)
        text = bytes(state[_STATE.size :]).rstrip(b"\0").decode(errors="replace")
    code = os.waitstatus_to_exitcode(status)
    problem = text or (f"ends with {code}" if code else "")
    gigabytes = usage.ru_maxrss / 2**20
    return (number + 1 if problem else len(batch)), slowest, gigabytes, problem


def _child(batch: list[Input], folder: Path, state: mmap.mmap) -> None:
    """Never returns."""
    slowest, code = 0.0, 0
    try:
        for number, given in enumerate(batch):
            state[: _STATE.size] = _STATE.pack(number, slowest)
            start = time.monotonic()
            try_input(given, folder)
            slowest = max(slowest, time.monotonic() - start)
        state[: _STATE.size] = _STATE.pack(len(batch) - 1, slowest)
    except BaseException:
        text = traceback.format_exc().encode()[-1900:]
        state[_STATE.size : _STATE.size + len(text)] = text
        code = 1
    finally:
        os._exit(code)


def _config(name: str) -> bytes:
    return json.dumps(nest(flatten(named(name, "smoke"))), indent=1).encode()


def _assignment(name: str, draw: np.random.Generator) -> bytes:
    flat = flatten(named(name, "smoke"))
    key = sorted(flat)[int(draw.integers(len(flat)))]
    values = [flat[key], "None", "", "1e999", "-1", "99999999999999999999999", "nan", "()", "all"]
    return f"{key}={values[int(draw.integers(len(values)))]}".encode()


def _read_image(given: Input, folder: Path) -> None:
    pixels = read_picture(_written(given, folder), Reading(channels=1, pages="0")).pixels
    assert pixels.ndim == 3 and pixels.size and pixels.dtype in (np.uint8, np.uint16)


def _read_mask(given: Input, folder: Path) -> None:
    assert read_mask(_written(given, folder), (24, 32)).dtype == bool


def _read_config(given: Input, folder: Path) -> None:
    (folder / "config.json").write_bytes(given.content)
    build(files.load(folder))


def _read_override(given: Input, folder: Path) -> None:
    del folder
    assignment = given.content.decode(errors="replace")
    resolve(override(named(given.name, "smoke"), [assignment]))


_READERS: dict[str, Callable[[Input, Path], None]] = {
    "image": _read_image,
    "mask": _read_mask,
    "config": _read_config,
    "override": _read_override,
}


def _written(given: Input, folder: Path) -> Path:
    path = folder / f"input{Path(given.name).suffix}"
    path.write_bytes(given.content)
    return path
