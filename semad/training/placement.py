"""Where training runs: on all local devices of an accelerator, each with a share of the work.

What is shared out follows from the sizes. Members that the devices divide are shared out among
them, and no device waits for another. Else a batch is: weights are the same everywhere, and the
compiler has the devices add up their gradients; batch norm's statistics are those of the whole
batch. Neither changes what is trained, up to the order of sums.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, SingleDeviceSharding

from semad.types import Batch, TrainState
from semad.utils.backend import Plan

_AXIS = "devices"

ShareBatch = Callable[[Batch], Batch]
"""Tells the compiler which device has which images and latents of a batch."""


class Placement(NamedTuple):
    """Where the arrays of one group of members are.

    Attributes:
      state: of the states and hparams, whose leading axis are the members.
      images: of the training images, which each device has.
      batch: of images and latents (N, ...); None where a batch is not shared out.
    """

    state: jax.sharding.Sharding
    images: jax.sharding.Sharding
    batch: NamedSharding | None = None

    def put(self, state: TrainState) -> TrainState:
        """The state of a group, where it belongs."""
        return jax.device_put(state, self.state)

    def share(self, batch: Batch) -> Batch:
        """See `ShareBatch`."""
        if self.batch is None:
            return batch
        images, z = jax.lax.with_sharding_constraint((batch.images, batch.z), self.batch)
        return batch._replace(images=images, z=z)


def placement(plan: Plan, members: int, batch_size: int) -> Placement:
    """The placement of a group.

    Args:
      plan: says whether devices share the work.
      members: of the group.
      batch_size: patches of a training step.
    """
    devices = jax.local_devices()
    if not plan.devices_share_training or len(devices) == 1:
        return _alone(devices[0])
    mesh = Mesh(np.array(devices), (_AXIS,))
    everywhere, shared = NamedSharding(mesh, jax.P()), NamedSharding(mesh, jax.P(_AXIS))
    if members % len(devices) == 0:
        return Placement(shared, everywhere)
    if batch_size % len(devices) == 0:
        return Placement(everywhere, everywhere, shared)
    return _alone(devices[0])


def _alone(device: Any) -> Placement:
    single = SingleDeviceSharding(device)
    return Placement(single, single)
