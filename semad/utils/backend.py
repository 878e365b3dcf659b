"""What is fastest where: the one place that chooses by backend.

The choices change speed only; results agree within rounding, and tests compare both ways.
`experiments/benchmarks/cpu.py` holds the measurements behind the CPU row.
"""

from collections.abc import Callable
from functools import wraps
from typing import NamedTuple, ParamSpec, TypeVar

import jax

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


class Plan(NamedTuple):
    """How to run on a backend.

    Attributes:
      convolution: one of `semad.nets.conv.IMPLEMENTATIONS`; of kernels of 4x4 in wide networks,
        and of what runs inside compiled loops.
      narrow_convolution: of the others.
      steps_per_dispatch: training steps compiled into one program.
      narrow_members_together: whether a population of narrow networks is vmapped; wide ones train
        member by member.
      devices_share_training: whether all local devices train; those of a CPU are simulated.
      score_chunk: how many patches one call of the scoring program takes.
      calls_at_once: how many such calls run at the same time; small ones leave cores of a CPU idle.
      search_chunk: patches of a call for a system that searches; many times as many as move
        together, so that few turns of the loop are less than full.
      latents_together: of a search, how many move in one turn.
    """

    convolution: str
    narrow_convolution: str
    steps_per_dispatch: int
    narrow_members_together: bool
    devices_share_training: bool
    score_chunk: int
    calls_at_once: int
    search_chunk: int
    latents_together: int


CPU = Plan(
    convolution="matmul",
    narrow_convolution="mixed",
    steps_per_dispatch=1,
    narrow_members_together=False,
    devices_share_training=False,
    score_chunk=64,
    calls_at_once=3,
    search_chunk=1024,
    latents_together=64,
)
ACCELERATOR = Plan(
    convolution="native",
    narrow_convolution="native",
    steps_per_dispatch=50,
    narrow_members_together=True,
    devices_share_training=True,
    score_chunk=2048,
    calls_at_once=1,
    search_chunk=8192,
    latents_together=2048,
)

# Measured at widths .25, where mixed convolutions train 1.4 times as fast as matmuls and compile
# sooner, and 1, where matmuls are faster for kernels of 4x4, of which `semad.nets.minimal` makes
# fewer products, and mixed ones for others. On an H200 eight vmapped members take .46 to .93 of the
# time of eight single ones at a width of .25, and .85 to 1.2 at 1 (three: 1.2 to 1.5;
# docs/performance.md). The limit between the widths is a guess.
NARROW = 0.5
FILTERED = 4


def plan() -> Plan:
    """The plan for the default backend of this process."""
    return CPU if jax.default_backend() == "cpu" else ACCELERATOR


def convolution(width: float, size: int) -> str:
    """The convolutions with kernels of `size`² in a network of this width, outside of loops."""
    chosen = plan()
    by_width = width > NARROW and size == FILTERED
    return chosen.convolution if by_width else chosen.narrow_convolution


def in_float32(function: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
    """The function with JAX's 64-bit mode off while it runs, whatever the process has chosen.

    The mode changes the dtype of every random number and weight, and so what a seed gives: a run is
    the same with and without JAX_ENABLE_X64. What the caller computes elsewhere is left alone.
    """

    @wraps(function)
    def call(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result:
        with jax.enable_x64(False):
            return function(*args, **kwargs)

    return call
