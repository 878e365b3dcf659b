"""Strict mode: two simulated devices, no implicit rank promotion; pyproject: no warnings."""

import os
import tempfile

os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=2"
)

import jax  # noqa: E402

jax.config.update("jax_numpy_rank_promotion", "raise")

# Tests train the same programs again and again: compile each once per session.
_CACHE = tempfile.TemporaryDirectory(prefix="semad-tests-")
jax.config.update("jax_compilation_cache_dir", _CACHE.name)
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
