"""Where training runs: on all local devices, or those of all processes of a run together.

What is shared out follows from the sizes. Members that the devices divide are shared out among
them, and no device waits for another. Else a batch is: weights are the same everywhere, and the
compiler has the devices add up their gradients; batch norm's statistics are those of the whole
batch. Neither changes what is trained, up to the order of sums.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, SingleDeviceSharding

from semad.data.patches import PaddedImages
from semad.errors import UserError
from semad.types import Batch, Hparams, Method, TrainState
from semad.utils import collective, hosts
from semad.utils.backend import NARROW, Plan

MembersT = TypeVar("MembersT", TrainState, Hparams)

ShareBatch = Callable[[Batch], Batch]
"""Tells the compiler which device has which images and latents of a batch."""


class Placement(NamedTuple):
    """Where the arrays of one group of members are.

    Attributes:
      state: of the states and hparams, whose leading axis are the members.
      images: of the training images and of the terms of the losses, which each device has.
      batch: of images and latents (N, ...); None where a batch is not shared out.
    """

    state: jax.sharding.Sharding
    images: jax.sharding.Sharding
    batch: NamedSharding | None = None

    def put(self, tree: MembersT) -> MembersT:
        """The state or the hparams of a group, where they belong."""
        return collective.place(tree, self.state)

    def put_images(self, images: PaddedImages) -> PaddedImages:
        """The training images, where they belong."""
        return collective.place(images, self.images)

    def share(self, batch: Batch) -> Batch:
        """See `ShareBatch`."""
        if self.batch is None:
            return batch
        images, z = jax.lax.with_sharding_constraint((batch.images, batch.z), self.batch)
        return batch._replace(images=images, z=z)


def group_of(plan: Plan, width: float, members: int) -> int:
    """How many members of a population one program trains, unless the config says.

    Args:
      plan: of the backend.
      width: of the networks.
      members: of the population.
    """
    if not plan.narrow_members_together:
        return 1
    if width <= NARROW:
        return members
    devices = len(collective.devices())
    return devices if members % devices == 0 else 1


def placement(plan: Plan, method: Method, members: int, batch_size: int) -> Placement:
    """The placement of a group.

    Args:
      plan, method: say whether the local devices share the work; those of several processes do.
      members: of the group.
      batch_size: patches of a training step.

    Raises:
      UserError: for several processes whose devices divide neither.
    """
    devices = collective.devices()
    shared_out = plan.devices_share_training or method.halves_batch_on_cpu or hosts.count() > 1
    if len(devices) == 1 or not shared_out:
        return _alone(devices[0])
    mesh = Mesh(np.array(devices), (collective.AXIS,))
    everywhere, shared = NamedSharding(mesh, jax.P()), NamedSharding(mesh, jax.P(collective.AXIS))
    if members % len(devices) == 0:
        return Placement(shared, everywhere)
    if batch_size % len(devices) == 0:
        return Placement(everywhere, everywhere, shared)
    if hosts.count() > 1:
        raise UserError(
            f"the {len(devices)} devices of all processes divide neither the {members} members "
            f"that train together nor the {batch_size} patches of config.train.batch_size; give "
            "as many processes as divide one of them"
        )
    return _alone(devices[0])


def _alone(device: Any) -> Placement:
    single = SingleDeviceSharding(device)
    return Placement(single, single)
