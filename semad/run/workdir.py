"""What a workdir holds of a run: config, versions, normal images, checkpoints."""

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from semad.config import files
from semad.config.schema import Settings
from semad.config.settings import resolve
from semad.data import annotated
from semad.data.normal_images import NormalImages
from semad.errors import UserError
from semad.methods import METHODS
from semad.run import checkpoints
from semad.run.history import free_keys
from semad.run.prepare import Run
from semad.run.state import init_population
from semad.run.system import System
from semad.types import AnnotatedPatches, Method, TrainState
from semad.utils.arrays import read_arrays, write_arrays
from semad.utils.files import write_text
from semad.utils.sealed import MANIFEST, damage, write_manifest_of
from semad.utils.versions import checksum, versions

_log = logging.getLogger(__name__)

CHECKPOINTS = "checkpoints"
BEST = "best"
NORMAL_FILE = "normal.npz"
_HELD_OUT_FILE = "holdout.npz"  # of older workdirs, without what was trained on
VERSIONS_FILE = "versions.json"
TEACHING_FILE = "teaching.json"  # from which run and with which outlines a run was taught
_RECORDS = (files.CONFIG_FILE, VERSIONS_FILE, NORMAL_FILE)
_IMAGE, _SEEN, _PART, _NAMES = "image_", "seen", "part", "names"
_IMAGES_KEY, _DEPTH_KEY = "training_images_sha256", "training_images_bit_depth"
_PRETRAINED_KEY = "pretrained_sha256"
NO_BEST = (
    "no best checkpoint, since nothing is validated while training; set "
    "--config.train.validate_every above 0 and, for a system without reconstructions, "
    "--config.train.validation=synthetic; or evaluate by --config.eval.checkpoint=newest"
)


def store(workdir: Path, run: Run, trains: bool = True) -> None:
    """Writes config, versions and the normal images, of which thresholds are made.

    Args:
      workdir: of the run.
      run: to store.
      trains: whether training has something to do; else what is there stays as it is, and what is
        missing is written.

    Raises:
      UserError: where an older semad began a run that this one cannot go on with.
    """
    files.check_streams(workdir)
    missing = [name for name in _RECORDS if not (workdir / name).is_file()]
    wanted = _RECORDS if trains else missing
    if not wanted:
        return
    # Without a manifest while they are written: a kill in between is no damage.
    (workdir / MANIFEST).unlink(missing_ok=True)
    if files.CONFIG_FILE in wanted:
        files.store(workdir, run.settings)
    if VERSIONS_FILE in wanted:
        record = versions() | {
            _IMAGES_KEY: checksum(run.source.train),
            _DEPTH_KEY: run.source.bit_depth,
        }
        record |= _pretrained_record(workdir, run)
        write_text(workdir / VERSIONS_FILE, json.dumps(record, indent=2) + "\n")
    if NORMAL_FILE in wanted:
        images, seen, part, names = run.normal
        arrays = {f"{_IMAGE}{number:05d}": image for number, image in enumerate(images)}
        about = {_SEEN: np.array(seen), _PART: np.array(part), _NAMES: np.array(names)}
        write_arrays(workdir / NORMAL_FILE, arrays | about)
    write_manifest_of(workdir, _RECORDS)


def pretrained_checksums(pretrained: Mapping[str, Any]) -> dict[str, str]:
    """Net -> SHA-256 of its parameters."""
    return {name: checksum(jax.tree.leaves(params)) for name, params in pretrained.items()}


def _pretrained_record(workdir: Path, run: Run) -> dict[str, Any]:
    """Of the weights that a run starts with; of a run that goes on, what is stored."""
    sums = pretrained_checksums(run.pretrained) or _versions(workdir).get(_PRETRAINED_KEY)
    return {_PRETRAINED_KEY: sums} if sums else {}


def load_annotated(workdir: Path) -> AnnotatedPatches:
    """The annotated patches that a workdir was taught with.

    Raises:
      UserError: when it was not, or the file is damaged.
    """
    patches = annotated.read(workdir)
    if patches is None:
        raise UserError(
            f"{workdir}: config.train.teaching_epochs is above 0, but {annotated.FILE} is missing; "
            "--mode teach writes it into a new workdir"
        )
    return patches


def check_records(workdir: Path) -> None:
    """Warns when config, versions or normal images are not as semad wrote them."""
    if workdir.is_dir() and (why := damage(workdir)):
        _log.warning("%s: %s; it was edited, or it is damaged", workdir, why)


def load_normal(workdir: Path) -> NormalImages:
    """The normal images of a workdir; of an older one those held out alone.

    Raises:
      UserError: when they are not there, or damaged.
    """
    path = workdir / NORMAL_FILE
    if not path.is_file() and (workdir / _HELD_OUT_FILE).is_file():
        path = workdir / _HELD_OUT_FILE
    if not path.is_file():
        raise UserError(
            f"{workdir}: {NORMAL_FILE} is missing, so there is no threshold; call --mode train "
            "again with the run's own --config: it writes the file and trains no further"
        )
    advice = (
        "remove it, and call --mode train again with the run's own --config: it writes the file "
        "and trains no further"
    )
    try:
        arrays = read_arrays(path)
    except UserError as error:
        raise UserError(f"{error}; {advice}") from error
    images = [arrays[name] for name in sorted(arrays) if name.startswith(_IMAGE)]
    seen = arrays.get(_SEEN, np.zeros(len(images), int)).tolist()
    names = arrays.get(_NAMES, np.full(len(images), ""))  # an older semad kept none
    if not images or _PART not in arrays or not len(seen) == len(names) == len(images):
        raise UserError(f"{path}: damaged (no images); {advice}")
    return NormalImages(images, seen, float(arrays[_PART]), names.tolist())


def load_bit_depth(workdir: Path) -> int:
    """The bit depth that a workdir's training images were read with; 0 where it is not known."""
    depth = _versions(workdir).get(_DEPTH_KEY)
    return depth if isinstance(depth, int) and 0 <= depth <= 16 else 0


def check_same_run(workdir: Path, settings: Settings, method: Method, trains: bool = False) -> None:
    """Checks that a workdir's run, if it holds one, may go on with these settings.

    Args:
      workdir: of the run.
      settings: that are asked for.
      method: built from them.
      trains: whether it is to be trained on: after divergence, other rates are allowed then.

    Raises:
      UserError: when they make another run.
    """
    if (workdir / files.CONFIG_FILE).is_file() or (workdir / CHECKPOINTS).exists():
        free = free_keys(workdir, settings) if trains else ()
        last = method.phases[-1]
        cools = settings.train.cooldown and last.cools
        prolonged = "" if cools or _has_other_nets(workdir, method) else last.epochs_key
        files.check_same_run(workdir, settings, prolonged=prolonged, free_keys=free)


def _has_other_nets(workdir: Path, method: Method) -> bool:
    """Whether the nets of a workdir's run are others: some phases train nets of their own."""
    stored = resolve(files.load(workdir))
    return METHODS[stored.method](stored).nets.keys() != method.nets.keys()


def check_same_data(workdir: Path, train: Sequence[np.ndarray]) -> None:
    """Checks that a workdir's run was trained on these images.

    Raises:
      UserError: when it was trained on others.
    """
    stored = _versions(workdir).get(_IMAGES_KEY)
    if stored is not None and stored != checksum(train):
        raise UserError(
            f"{workdir} holds a run on other training images; give their folder by "
            "--config.data.dir, or another --workdir"
        )


def _versions(workdir: Path) -> dict[str, Any]:
    """versions.json; empty, with a warning, where it is damaged."""
    path = workdir / VERSIONS_FILE
    if not path.is_file():
        return {}
    try:
        stored = json.loads(path.read_bytes())
        if isinstance(stored, dict) and _IMAGES_KEY in stored:
            return stored
    except (OSError, ValueError, RecursionError):
        pass
    _log.warning("%s: damaged; the training images are not compared with it", path)
    return {}


def newest_step(workdir: Path) -> int | None:
    """The step of the newest checkpoint, sound or not; None where there is none."""
    return next(iter(checkpoints.steps(workdir / CHECKPOINTS)), None)


def check_has_checkpoint(workdir: Path, folder: str = CHECKPOINTS) -> None:
    """Checks for a checkpoint without opening it, and without making the folder.

    Args:
      workdir: of a run.
      folder: `checkpoints` for the newest, `best` for the best by validation.

    Raises:
      UserError: when there is none.
    """
    if checkpoints.steps(workdir / folder):
        return
    if folder == BEST:
        raise UserError(f"{workdir}: {NO_BEST}")
    raise UserError(f"{workdir}: no checkpoint to restore; train first (--mode train)")


def remove_best_after(workdir: Path, step: int) -> None:
    """Removes a best checkpoint of steps that were trained otherwise than the run goes on."""
    checkpoints.remove_after(workdir / BEST, step)


def restore(workdir: Path, system: System) -> TrainState:
    """The newest or best state of a workdir's population (`config.eval.checkpoint`), stacked.

    Where the newest is damaged it is the newest sound one, with a warning. A damaged best one is
    replaced by no other.

    Raises:
      UserError: when there is no checkpoint, none is sound, or it does not fit the config.
    """
    best = system.settings.eval.checkpoint == "best"
    folder = BEST if best else CHECKPOINTS
    check_has_checkpoint(workdir, folder)
    like = jax.eval_shape(lambda: init_population(system.method, system.seeds))
    try:
        restored = checkpoints.restore(workdir / folder, like)
    except checkpoints.NoneSound as error:
        advice = "; or use the newest, by --config.eval.checkpoint=newest" if best else ""
        raise UserError(f"{error}{advice}") from error
    for step, why in restored.damaged:
        _log.warning(
            "the checkpoint of step %d is damaged (%s); that of step %d is used",
            *(step, why, restored.step),
        )
    if restored.damaged and restored.step == 0:
        raise UserError(
            f"{workdir / folder}: the checkpoint of step {restored.damaged[0].step} is damaged "
            f"({restored.damaged[0].why}), and what is left is not trained; call --mode train "
            "again, which trains it anew"
        )
    return restored.state
