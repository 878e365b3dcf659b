"""What a result depends on beside the config: packages, backend, devices, the commit."""

import hashlib
import importlib.metadata
import os
import platform
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

_PACKAGES = (
    *("semad", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy"),
    *("scikit-learn", "ml-collections"),
)
_RESULTS = "experiments/results"
"""Committed results: a change of theirs is none of the code."""


def versions() -> dict[str, Any]:
    """Packages, backend, devices and the git commit, for the record."""
    return {
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "backend": jax.default_backend(),
        "devices": [str(device.device_kind) for device in jax.devices()],
        "commit": _commit(),
    }


def checksum(images: Sequence[np.ndarray]) -> str:
    """SHA-256 over the shapes and pixels of images, in order."""
    digest = hashlib.sha256()
    for image in images:
        digest.update(f"{image.shape} {image.dtype}".encode())
        digest.update(np.ascontiguousarray(image).data)
    return digest.hexdigest()


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _commit() -> str | None:
    """The commit of this code, with `-dirty` where it was changed; None outside a clone of its own.

    An installed semad may lie in the clone of something else, whose commit says nothing about it.
    """
    path = Path(__file__).resolve()
    root = path.parents[2]
    try:
        top, head = _git(root, "rev-parse", "--show-toplevel", "HEAD").splitlines()
        if Path(top).resolve() != root:
            return None
        _git(root, "ls-files", "--error-unmatch", str(path))
        changed = _git(
            root, "status", "--porcelain", "--untracked-files=no", "--", ".", f":!{_RESULTS}"
        )
    except (OSError, ValueError, subprocess.CalledProcessError):
        return None
    return f"{head}-dirty" if changed else head


def _git(root: Path, *arguments: str) -> str:
    # Variables of a hook would name another repository.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "-C", str(root), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return done.stdout.strip()
