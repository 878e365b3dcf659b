"""What is fastest where: the one place that chooses by backend.

The choices change speed only; results agree within rounding, and tests compare both ways.
`experiments/benchmark_cpu.py` holds the measurements behind the CPU row.
"""

from typing import NamedTuple

import jax


class Plan(NamedTuple):
    """How to run on a backend.

    Attributes:
      convolution: `matmul` or `native`, see `semad.nets.conv`.
      steps_per_dispatch: training steps compiled into one program.
      members_together: whether a population is vmapped or trained member by member.
      score_chunk: how many patches one call of the scoring program takes.
    """

    convolution: str
    steps_per_dispatch: int
    members_together: bool
    score_chunk: int


CPU = Plan(convolution="matmul", steps_per_dispatch=1, members_together=False, score_chunk=64)
ACCELERATOR = Plan(
    convolution="native", steps_per_dispatch=50, members_together=True, score_chunk=2048
)


def plan() -> Plan:
    """The plan for the default backend of this process."""
    return CPU if jax.default_backend() == "cpu" else ACCELERATOR
