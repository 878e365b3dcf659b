"""Whole runs of tiny systems with a fault in them, and what must be left afterwards."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import orbax.checkpoint as ocp
import tifffile
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
SYSTEMS = ("autoencoder", "bigan", "sencebgan", "recommended")
"""In one phase, adversarial, in three phases, convolutional with several members in the best."""
MODES = ("train_and_evaluate", "train", "evaluate", "score", "export")
CHECKPOINT_EVERY = 4

_TINY = {
    "data.name": "digits",
    "data.patch_size": 16,
    "model.width": 0.03125,
    "train.batch_size": 16,
    "train.log_every": 2,
    "train.image_every": 8,
    "train.validate_every": 4,
    "train.checkpoint_every": CHECKPOINT_EVERY,
    "score.chunk": 16,
    "score.stride": 16,
    "score.window": 0,
    "score.smoothing": 0.0,
    "eval.max_items": 40,
    "eval.max_holdout_items": 20,
}
_OF_SYSTEM = {
    "autoencoder": {"train.epochs": 2},
    "bigan": {"train.epochs": 2, "model.latent_dim": 8, "population.seeds": 2},
    "sencebgan": {"train.epochs": 1, "model.latent_dim": 8},
    "recommended": {
        "data.name": "nanofibres",
        "data.image_size": 64,
        "data.patch_size": 32,
        "data.train_images": 2,
        "data.test_images": 2,
        "data.crops": 128,
        "train.epochs": 2,
    },
}
_IMAGES = 4


class Outcome(NamedTuple):
    """How a command line ended; see `tests.faults.server.run`."""

    code: int | None
    output: str
    events: int
    seconds: float
    peak_gb: float

    @property
    def complaint(self) -> str:
        """What is wrong with how it ended, empty if nothing: a hang, a traceback, a crash."""
        if self.code is None:
            return "hangs"
        if "Traceback" in self.output:
            return "traceback"
        return "" if self.code in (0, 2, 3, 4, 130) else f"ends with {self.code}"


class Server:
    """A warm process that runs command lines in forks; see `tests.faults.server`."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        """Takes the process over."""
        self._process = process

    def run(self, argv: Sequence[str], root: Path | None = None, **job: Any) -> Outcome:
        """Runs `semad` with these arguments; `root` and `job`: see `tests.faults.server.run`."""
        assert self._process.stdin and self._process.stdout
        faults = {"root": str(root), "save_seconds": 0.0} if root else {}
        job = {"argv": list(argv)} | faults | job
        print(json.dumps(job), file=self._process.stdin, flush=True)
        return Outcome(**json.loads(self._process.stdout.readline()))


@contextmanager
def server(cache: Path, preload: Path | None = None) -> Iterator[Server]:
    """Starts a warm process.

    Args:
      cache: a folder for compiled programs, so that each is compiled once.
      preload: the library of `disk.c`, for jobs with `writes`.
    """
    env = os.environ | {
        "JAX_COMPILATION_CACHE_DIR": str(cache),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        "JAX_PLATFORMS": "cpu",
        "PYTHONWARNINGS": "ignore",
    }
    if preload:
        env["LD_PRELOAD"] = str(preload)
    command = [sys.executable, "-m", "tests.faults.server"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, cwd=ROOT, env=env, text=True, **pipes) as process:
        try:
            yield Server(process)
        finally:
            process.stdin.close()


def arguments(system: str, mode: str, folder: Path) -> list[str]:
    """The command line of a mode, of a tiny run of a system in `folder/run`."""
    workdir = folder / "run"
    argv = [f"--workdir={workdir}", f"--mode={mode}"]
    if mode in ("train", "train_and_evaluate"):
        config = ROOT / "configs" / f"{system}.py"
        argv += [f"--config={config}:smoke"]
        argv += [f"--config.{key}={value}" for key, value in (_TINY | _OF_SYSTEM[system]).items()]
    if mode == "score":
        argv += [f"--images={folder / 'images'}", f"--output={folder / 'out'}"]
    if mode == "export":
        argv += [f"--output={folder / 'export'}"]
    return argv


def write_images(folder: Path) -> None:
    """A few images to inspect."""
    draw = np.random.default_rng(0)
    (folder / "images").mkdir(parents=True)
    for number in range(_IMAGES):
        pixels = draw.integers(0, 256, (40, 48), np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"{number}.png")


def results(folder: Path, damaged: str = "") -> dict[str, Any]:
    """Everything in a folder that a fault may not change, by name, to the bit.

    Earlier evaluations and exports, which a later call keeps under another name, are left out.

    Args:
      folder: of the run, its output and its export.
      damaged: a file that was damaged on purpose; it is left out, or the checkpoints that it is of.
    """
    kept: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if name == damaged or re.search(r"\.\d+/", name):
            continue
        if path.name == "log.jsonl":
            lines = path.read_text().splitlines()
            kept[name] = [_without_times(json.loads(line)) for line in lines]
        elif path.name == "metrics.json":
            kept[name] = _without_times(json.loads(path.read_text()))
        elif path.name == "scores.npz":
            with np.load(path, allow_pickle=False) as arrays:
                kept[name] = {key: _digest(arrays[key]) for key in arrays}
        elif path.suffix == ".csv":
            kept[name] = path.read_text().replace(str(folder), "")
        elif path.parent.name == "maps" and path.suffix == ".tif":
            kept[name] = _digest(tifffile.imread(path))
        elif path.suffix == ".stablehlo":
            kept[name] = path.stat().st_size > 0
    for kind in ("checkpoints", "best"):
        steps = checkpoint_steps(folder / "run", kind)
        if steps and not damaged.startswith(f"run/{kind}/"):
            kept[kind] = _checkpoint(folder / "run" / kind / str(steps[-1]))
    return kept


def checkpoint_steps(workdir: Path, kind: str = "checkpoints") -> list[int]:
    """The steps of the checkpoints that a workdir holds."""
    folder = workdir / kind
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    return sorted(int(name) for name in names if name.isdigit())


def logged_step(workdir: Path) -> int:
    """The last step in the log, 0 without one."""
    path = workdir / "log.jsonl"
    lines = path.read_text().splitlines() if path.is_file() else []
    return max((json.loads(line)["step"] for line in lines if line.endswith("}")), default=0)


def copy(source: Path, target: Path) -> Path:
    """A copy of a folder in place of what was there."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target, symlinks=True)
    return target


def _checkpoint(path: Path) -> dict[str, str]:
    with ocp.StandardCheckpointer() as checkpointer:
        tree = checkpointer.restore(path / "default")
    import jax

    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(place): _digest(_plain(leaf)) for place, leaf in leaves}


def _plain(leaf: Any) -> np.ndarray:
    import jax

    if isinstance(leaf, jax.Array) and jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        leaf = jax.random.key_data(leaf)
    return np.asarray(leaf)


def _digest(array: np.ndarray) -> str:
    content = np.ascontiguousarray(array)
    return hashlib.sha256(
        f"{content.dtype}{content.shape}".encode() + content.tobytes()
    ).hexdigest()


_TIMES = ("seconds", "training_seconds", "images_per_second", "versions")


def _without_times(record: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in record.items() if key not in _TIMES}
