"""Compiled programs are kept between processes, so that a second start begins soon."""

import contextlib
import hashlib
import os
import platform
from pathlib import Path

import jax

LARGEST = 2 * 1024**3
"""Bytes; what was used longest ago goes first."""


def keep_programs() -> Path | None:
    """Has JAX keep what it compiles in the user's cache folder, unless the user chose otherwise.

    JAX's own switches count: JAX_COMPILATION_CACHE_DIR names another folder, and
    JAX_ENABLE_COMPILATION_CACHE=false keeps nothing.

    Returns:
      The folder that semad chose; None where the user did, or where it cannot be written to.
    """
    asked = jax.config.values
    if asked["jax_compilation_cache_dir"] or not asked["jax_enable_compilation_cache"]:
        return None
    folder = _caches() / "semad" / "programs" / _machine()
    with contextlib.suppress(OSError, RuntimeError):  # the second without a home
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            jax.config.update("jax_compilation_cache_dir", str(folder))
            jax.config.update("jax_compilation_cache_max_size", LARGEST)
            return folder
    return None


def _caches() -> Path:
    """The user's cache folder, as the XDG base directory specification has it."""
    given = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return given if given.is_absolute() else Path.home() / ".cache"


def _machine() -> str:
    """Names processors that run the same programs: a home may be shared by several kinds."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = [platform.processor()]
    features = next((line for line in lines if line.startswith(("flags", "Features"))), lines[0])
    return f"{platform.machine()}-{hashlib.sha256(features.encode()).hexdigest()[:8]}"
