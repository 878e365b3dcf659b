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
from semad.errors import UserError
from semad.files import write_text
from semad.losses import RESIDUALS
from semad.methods import METHODS, autoencoder, ebgan, fanogan
from semad.nets.layers import INITIALIZERS
from semad.nets.thesis import PATCH_SIZES

CHOICES: dict[str, tuple[Any, ...]] = {
    "method": tuple(METHODS),
    "data.channels": (1, 3),
    "data.patch_size": PATCH_SIZES,
    "data.protocol": ("one_class_normal", "one_class_anomalous"),
    "model.init": tuple(INITIALIZERS),
    "score.threshold_rule": ("normal_quantile", "transductive"),
    "score.degree": (1, 2),
    "search.discrimination": ("features", "cross_entropy"),
    "model.form": autoencoder.FORMS,
    "loss.reconstruction": tuple(RESIDUALS),
    "loss.encoder_objective": fanogan.ENCODER_OBJECTIVES,
    "eval.checkpoint": ("newest", "best"),
    "eval.protocol": ("auto", "thesis_tiles", "one_class"),
}

# Keys whose choices depend on the method.
OBJECTIVES: dict[str, tuple[str, ...]] = {
    "fanogan": tuple(fanogan.OBJECTIVES),
    "ebgan": ebgan.OBJECTIVES,
    "encebgan": ebgan.OBJECTIVES,
    "sencebgan": ebgan.OBJECTIVES,
}

# (lowest, highest), both allowed; None is no limit.
RANGES: dict[str, tuple[float | None, float | None]] = {
    "seed": (0, 2**31 - 1),
    "population.seeds": (1, None),
    "data.crops_per_image": (1, None),
    "data.holdout": (0.01, 0.9),
    "data.train_images": (1, None),
    "data.test_images": (2, None),
    "data.image_size": (64, None),
    "model.width": (0.001, None),
    "model.latent_dim": (1, None),
    "model.leaky_slope": (0, 1),
    "model.bn_momentum": (0, 1),
    "optim.beta1": (0, 0.9999999),
    "optim.beta2": (0, 0.9999999),
    "train.batch_size": (2, None),
    "train.epochs": (0, None),
    "train.encoder_epochs": (0, None),
    "train.return_epochs": (0, None),
    "train.ema": (0, 0.9999999),
    "train.log_every": (1, None),
    "train.image_every": (1, None),
    "train.checkpoint_every": (1, None),
    "train.validate_every": (0, None),
    "score.stride": (1, None),
    "score.chunk": (0, None),
    "score.threshold_rate": (0.0, 1.0),
    "score.reconstruction_weight": (0.0, 1.0),
    "loss.critic_updates": (1, None),
    "loss.generator_updates": (1, None),
    "loss.noise": (0, None),
    "loss.clip": (0, None),
    "search.steps": (0, None),
    "search.lr": (0, 10),
    "search.weight": (0, 1),
    "eval.max_items": (0, None),
    "eval.max_holdout_items": (0, None),
}

# Keys whose type cannot be read off a stored null.
OPTIONAL = {"data.dir": str, "data.flips": bool, "score.name": str}

# Of the phases in their order; a run may go on with more epochs of its last one.
EPOCHS = ("train.epochs", "train.encoder_epochs", "train.return_epochs")

# What a run may change when it goes on or is evaluated; anything else makes it another run.
FREE = (
    "eval.",
    "score.",
    "search.",
    "data.dir",
    "data.verify",
    "preset",
    "train.log_every",
    "train.image_every",
    "train.checkpoint_every",
    "train.validate_every",
)


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
    for key, choices in (CHOICES | {"loss.objective": OBJECTIVES.get(config.method, ())}).items():
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
        config = ml_collections.ConfigDict(json.loads(path.read_text()))
        for key, kind in OPTIONAL.items():
            section, name = key.split(".")
            if config[section][name] is None:
                del config[section][name]
                config[section][name] = config_dict.placeholder(kind)
    except (ValueError, KeyError, AttributeError) as error:
        raise UserError(f"{path}: no config of semad ({error}); restore it, or train") from error
    return config


def check_same_run(workdir: Path, config: ml_collections.ConfigDict) -> None:
    """Checks that a workdir's run may go on with this config.

    Raises:
      UserError: when it differs in a key that makes it another run.
    """
    stored, wanted = flatten(load(workdir)), flatten(config)
    free = (*FREE, [key for key in EPOCHS if key in wanted][-1])
    for key in sorted(stored.keys() | wanted.keys(), key=lambda key: (key != "method", key)):
        if key.startswith(free) or stored.get(key) == wanted.get(key):
            continue
        raise UserError(
            f"{workdir} holds a run with config.{key} = {stored.get(key)!r}, not "
            f"{wanted.get(key)!r}; give another --workdir, or the same value"
        )


def store(workdir: Path, config: ml_collections.ConfigDict, train: Sequence[np.ndarray]) -> None:
    """Writes config.json, and versions.json with a checksum of the training images."""
    write_text(workdir / "config.json", config.to_json(indent=2) + "\n")
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
    folder = Path(__file__).resolve().parent
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
