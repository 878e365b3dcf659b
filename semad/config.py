"""Configs: checked before anything is written, stored in the workdir, compared on resumption."""

import hashlib
import importlib.metadata
import json
import platform
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import ml_collections
import numpy as np
from ml_collections import config_dict

from semad.adversarial import COMBINATIONS
from semad.config_rules import (
    ADDED,
    ADDED_BY_METHOD,
    CHOICES,
    CHOICES_BY_METHOD,
    EPOCHS,
    FREE,
    OPTIONAL,
    RANGES,
    REBUILT,
)
from semad.errors import UserError
from semad.files import write_text

RESULTS = "experiments/results"
"""Where results are committed, in a clone of semad."""


def combinations(tricks: str) -> list[str]:
    """The combinations of training tricks that `config.population.tricks` names.

    Args:
      tricks: `none`, `all`, or a list such as `IN,SL+LF` or `('IN', 'SL+LF')`.

    Raises:
      UserError: for a combination that does not exist.
    """
    if tricks == "all":
        return list(COMBINATIONS)
    names = [name.strip(" '\"()[]") for name in tricks.split(",")]
    chosen = [name for name in names if name]
    for name in chosen:
        if name not in COMBINATIONS:
            raise UserError(
                f"config.population.tricks has {name!r}; it must be all, or a list of: "
                + ", ".join(COMBINATIONS)
            )
    if not chosen or len(set(chosen)) < len(chosen):
        raise UserError(
            f"config.population.tricks is {tricks!r}; name every combination once, or none"
        )
    return chosen


def flatten(config: Any, prefix: str = "") -> dict[str, Any]:
    """Dotted key -> value."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, ml_collections.ConfigDict | dict):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def validate(config: ml_collections.ConfigDict) -> None:
    """Checks every value that has a set of choices or a range.

    Raises:
      UserError: for the first value out of place, with what would be right.
    """
    values = flatten(config)
    own = {key: choices.get(config.method, ()) for key, choices in CHOICES_BY_METHOD.items()}
    for key, choices in (CHOICES | own).items():
        if key in values and values[key] not in choices:
            expected = ", ".join(map(str, choices))
            raise UserError(f"config.{key} is {values[key]!r}; it must be one of: {expected}")
    for key, (low, high) in RANGES.items():
        value = values.get(key)
        if value is None:
            continue
        if not ((low is None or value >= low) and (high is None or value <= high)):
            expected = f"at least {low}" if high is None else f"between {low} and {high}"
            raise UserError(f"config.{key} is {value}; it must be {expected}")
    combinations(config.population.tricks)
    for key, value in flatten(config.lr).items():
        if not 0 <= value < 10:
            raise UserError(f"config.lr.{key} is {value}; it must be between 0 and 10")


def load(workdir: Path) -> ml_collections.ConfigDict:
    """The config that a workdir was trained with.

    Raises:
      UserError: when the workdir holds no run.
    """
    path = workdir / "config.json"
    if not path.is_file():
        raise UserError(
            f"{workdir}: no run here (config.json is missing); train one first: "
            "python main.py --config configs/bigan.py:small --workdir ..."
        )
    try:
        stored = json.loads(path.read_text())
        _check_networks(path, stored)
        stored["score"].setdefault("pixel_rate", stored["score"]["threshold_rate"])
        for key, value in (ADDED | ADDED_BY_METHOD.get(stored["method"], {})).items():
            section, _, name = key.rpartition(".")
            if not section or section in stored:  # of some systems alone, as `splices`
                (stored[section] if section else stored).setdefault(name, value)
        config = ml_collections.ConfigDict(stored)
        for key, kind in OPTIONAL.items():
            section, name = key.split(".")
            if section in config and config[section][name] is None:
                del config[section][name]
                config[section][name] = config_dict.placeholder(kind)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: no config of semad ({error}); restore it, or train") from error
    return config


def _is_older(stored: dict[str, Any]) -> bool:
    """Whether a stored config is from before the finished thesis was followed."""
    return "normalisation" not in stored["data"]


def _check_networks(path: Path, stored: dict[str, Any]) -> None:
    """Raises a UserError for a run whose weights fit no network of this version."""
    if stored["method"] in REBUILT and _is_older(stored):
        raise UserError(
            f"{path}: a run of {stored['method']} by an older semad, whose networks were others; "
            "use the commit that versions.json beside it names, or train again in a new --workdir"
        )


def check_streams(workdir: Path) -> None:
    """Checks that a run which is to train on draws the random numbers that it began with.

    Raises:
      UserError: for one that an older semad began, whose streams had numbers, not names.
    """
    path = workdir / "config.json"
    if path.is_file() and _is_older(json.loads(path.read_text())):
        raise UserError(
            f"{workdir}: begun by an older semad, whose random numbers were others, so it cannot "
            "go on to the same end; train in a new --workdir (what this one has can be evaluated)"
        )


def check_same_run(workdir: Path, config: ml_collections.ConfigDict) -> None:
    """Checks that a workdir's run may go on with this config.

    Raises:
      UserError: when it differs in a key that makes it another run. More epochs of the last phase
        do not, unless input noise (IN) goes by the length of the run.
    """
    stored, wanted = flatten(load(workdir)), flatten(config)
    free = FREE
    if "IN" not in "+".join(combinations(config.population.tricks)):
        free += ([key for key in EPOCHS if key in wanted][-1],)  # IN's noise falls with the run
    for key in sorted(stored.keys() | wanted.keys(), key=lambda key: (key != "method", key)):
        if key.startswith(free) or stored.get(key) == wanted.get(key):
            continue
        raise UserError(
            f"{workdir} holds a run with config.{key} = {stored.get(key)!r}, not "
            f"{wanted.get(key)!r}; give another --workdir, or the same value"
        )


def store(workdir: Path, config: ml_collections.ConfigDict, train: Sequence[np.ndarray]) -> None:
    """Writes config.json, and versions.json with a checksum of the training images."""
    kept = config.copy_and_resolve_references()
    kept.eval.purpose = None  # of this call alone, not of every later evaluation
    write_text(workdir / "config.json", kept.to_json(indent=2) + "\n")
    record = versions() | {"training_images_sha256": checksum(train)}
    write_text(workdir / "versions.json", json.dumps(record, indent=2) + "\n")


def checksum(images: Sequence[np.ndarray]) -> str:
    """SHA-256 over the shapes and pixels of images, in order."""
    digest = hashlib.sha256()
    for image in images:
        digest.update(f"{image.shape} {image.dtype}".encode())
        digest.update(np.ascontiguousarray(image))
    return digest.hexdigest()


def check_same_data(workdir: Path, train: Sequence[np.ndarray]) -> None:
    """Checks that a workdir's run was trained on these images.

    Raises:
      UserError: when it was trained on others.
    """
    path = workdir / "versions.json"
    if not path.is_file():
        return
    if json.loads(path.read_text()).get("training_images_sha256") != checksum(train):
        raise UserError(
            f"{workdir} holds a run on other training images; give their folder by "
            "--config.data.dir, or another --workdir"
        )


def versions() -> dict[str, Any]:
    """Packages, backend, devices and the git commit: what a result depends on beside the config."""
    packages = ("semad", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")
    packages += ("scikit-learn", "ml-collections")
    return {
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in packages},
        "backend": jax.default_backend(),
        "devices": [str(device.device_kind) for device in jax.devices()],
        "commit": _commit(),
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _commit() -> str | None:
    """The commit of this code; `-dirty` where it was changed. Results are no code."""
    root = Path(__file__).resolve().parent.parent
    changes = ["status", "--porcelain", "--untracked-files=no", "--", ".", f":!{RESULTS}"]
    try:
        head, changed = (
            subprocess.run(
                ["git", "-C", str(root), *command], capture_output=True, text=True, check=True
            ).stdout.strip()
            for command in (["rev-parse", "HEAD"], changes)
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return f"{head}-dirty" if changed else head
