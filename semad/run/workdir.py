"""What a workdir holds of a run: config, versions, held-out images, checkpoints."""

import json
import zipfile
from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np

from semad.config import files
from semad.config.schema import Settings
from semad.data.patches import Holdout
from semad.errors import UserError
from semad.run.checkpoints import Checkpoints
from semad.run.prepare import Run
from semad.run.state import init_population
from semad.run.system import System
from semad.types import Method, TrainState
from semad.utils.files import write_bytes, write_text
from semad.utils.versions import checksum, versions

HOLDOUT_FILE = "holdout.npz"
VERSIONS_FILE = "versions.json"
NO_BEST = (
    "no best checkpoint, since nothing is validated while training; set "
    "--config.train.validate_every above 0 and, for a system without reconstructions, "
    "--config.train.validation=synthetic; or evaluate by --config.eval.checkpoint=newest"
)


def store(workdir: Path, run: Run) -> None:
    """Writes config, versions and the held-out normal images, of which thresholds are made.

    Raises:
      UserError: where an older semad began a run that this one cannot go on with.
    """
    files.check_streams(workdir)
    files.store(workdir, run.settings)
    record = versions() | {"training_images_sha256": checksum(run.source.train)}
    write_text(workdir / VERSIONS_FILE, json.dumps(record, indent=2) + "\n")
    images, part = run.holdout
    arrays = {f"image_{number:05d}": image for number, image in enumerate(images)}
    arrays["part"] = np.array(part)
    write_bytes(
        workdir / HOLDOUT_FILE, lambda file: np.savez_compressed(file, allow_pickle=False, **arrays)
    )


def load_holdout(workdir: Path) -> Holdout:
    """The held-out normal images of a workdir.

    Raises:
      UserError: when they are not there.
    """
    path = workdir / HOLDOUT_FILE
    if not path.is_file():
        raise UserError(
            f"{workdir}: {HOLDOUT_FILE} is missing, so there is no threshold; call --mode train "
            "again with the run's own --config: it writes the file and trains no further"
        )
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            images = [arrays[name] for name in sorted(arrays) if name.startswith("image_")]
            return Holdout(images, float(arrays["part"]))
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise UserError(f"{path}: damaged ({error}); remove it, and call --mode train") from error


def check_same_run(workdir: Path, settings: Settings, method: Method) -> None:
    """Checks that a workdir's run, if it holds one, may go on with these settings.

    Raises:
      UserError: when they make another run.
    """
    if (workdir / files.CONFIG_FILE).is_file() or (workdir / "checkpoints").exists():
        files.check_same_run(workdir, settings, prolonged=method.phases[-1].epochs_key)


def check_same_data(workdir: Path, train: Sequence[np.ndarray]) -> None:
    """Checks that a workdir's run was trained on these images.

    Raises:
      UserError: when it was trained on others.
    """
    path = workdir / VERSIONS_FILE
    if not path.is_file():
        return
    if json.loads(path.read_text()).get("training_images_sha256") != checksum(train):
        raise UserError(
            f"{workdir} holds a run on other training images; give their folder by "
            "--config.data.dir, or another --workdir"
        )


def check_has_checkpoint(workdir: Path, folder: str = "checkpoints") -> None:
    """Checks for a checkpoint without opening it, and without making the folder.

    Args:
      workdir: of a run.
      folder: `checkpoints` for the newest, `best` for the best by validation.

    Raises:
      UserError: when there is none.
    """
    path = workdir / folder
    if path.is_dir() and any(step.name.isdigit() for step in path.iterdir()):
        return
    if folder == "best":
        raise UserError(f"{workdir}: {NO_BEST}")
    raise UserError(f"{workdir}: no checkpoint to restore; train first (--mode train)")


def restore(workdir: Path, system: System) -> TrainState:
    """The newest or best state of a workdir's population (`config.eval.checkpoint`), stacked.

    Raises:
      UserError: when there is no checkpoint, or it does not fit the config.
    """
    folder = "best" if system.settings.eval.checkpoint == "best" else "checkpoints"
    check_has_checkpoint(workdir, folder)
    like = jax.eval_shape(lambda: init_population(system.method, system.seeds))
    with Checkpoints(workdir, folder) as checkpoints:
        return checkpoints.restore(like)
