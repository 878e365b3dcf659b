"""Strict mode: two simulated devices, no implicit rank promotion; pyproject: no warnings."""

import gc
import os
import signal
import tempfile
from importlib.metadata import version
from pathlib import Path

# A shell that runs tests in the background has them ignore these, and their children with them.
for _number, _handler in (
    (signal.SIGINT, signal.default_int_handler),
    (signal.SIGHUP, signal.SIG_DFL),
):
    if signal.getsignal(_number) == signal.SIG_IGN:
        signal.signal(_number, _handler)

# Nearly all the time of these tests is compilation. It takes a fifth of the time without
# optimisation, with XLA's older emitters of fused operations, which jaxlib 0.11 no longer has, and
# with each program in one piece.
os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "")
    + " --xla_force_host_platform_device_count=2 --xla_backend_optimization_level=0"
    + " --xla_cpu_parallel_codegen_split_count=1"
    + " --xla_cpu_use_fusion_emitters=false" * version("jaxlib").startswith("0.10.")
)

# Tests train the same programs again and again, in this process and in those that they start:
# each is compiled once per session. Set in the environment, so before jax is imported; the workers
# of pytest-xdist inherit it.
if "PYTEST_XDIST_WORKER" not in os.environ:
    _CACHE = tempfile.TemporaryDirectory(prefix="semad-tests-")
    os.environ["JAX_COMPILATION_CACHE_DIR"] = _CACHE.name
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"

import jax  # noqa: E402

from semad.utils import backend  # noqa: E402

# A trace is millions of objects, nearly all of which live: looking for those that do not costs a
# twentieth of the time.
gc.set_threshold(100_000, 20, 20)
gc.freeze()

jax.config.update("jax_numpy_rank_promotion", "raise")

# XLA's own convolutions compile three times as fast as those made of matmuls, and these tests
# compile far more than they compute. tests/nets/test_conv.py holds the two against each other, and
# tests/test_cli.py runs what users run.
backend.CPU = backend.CPU._replace(convolution="native", narrow_convolution="native")

# The files that take longest. A worker of pytest-xdist takes a file at a time: were one of these
# among the last, the others would wait for it.
LONGEST = (
    "training/test_train.py",
    "evaluation/test_evaluate.py",
    "inference/test_model.py",
    "training/test_step.py",
    "test_cli.py",
    "test_adding.py",
    "inference/test_export.py",
    "faults/test_faults.py",
)


def pytest_collection_modifyitems(items):
    order = [Path(__file__).parent / name for name in LONGEST]
    items.sort(key=lambda item: order.index(item.path) if item.path in order else len(order))
