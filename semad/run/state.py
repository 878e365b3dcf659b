"""The training state: made from a seed, stacked over a population, split into groups."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from semad.errors import UserError
from semad.types import Method, Phase, TrainState, Weights
from semad.utils.rng import Stream, stream


def init_state(method: Method, seed: int | jax.Array) -> TrainState:
    """A fresh state of one member; all of its randomness follows from the seed.

    A net's initial weights follow from the seed and from its name alone, whatever other nets the
    method has. Of a net that was trained elsewhere they are a stand-in; see `with_pretrained`.
    """
    key = jax.random.key(seed)
    init_key = stream(key, Stream.INIT)
    params: dict[str, Any] = {}
    batch_stats: dict[str, Any] = {}
    for name, net in method.nets.items():
        inputs = [jnp.zeros((1, *shape)) for shape in net.inputs]
        variables = net.module.init(stream(init_key, name), *inputs, train=False)
        params[name] = variables["params"]
        batch_stats[name] = variables.get("batch_stats", {})
    opt_state = {
        update.name: update.optimizer.init({name: params[name] for name in update.trains})
        for phase in method.phases
        for update in phase.updates
    }
    weights = Weights(params, batch_stats)
    # A copy: donated buffers must not appear twice in one state.
    ema = jax.tree.map(jnp.copy, weights)
    return TrainState(jnp.int32(0), weights, opt_state, ema, key)


def init_population(method: Method, seeds: list[int]) -> TrainState:
    """States of all members, stacked along a leading axis; member i is seeded by seeds[i]."""
    return jax.jit(jax.vmap(lambda seed: init_state(method, seed)))(jnp.asarray(seeds))


def read_pretrained(method: Method) -> dict[str, Any]:
    """Net -> parameters, of the nets that were trained elsewhere.

    Raises:
      UserError: for a file that cannot be read, or does not suit the net.
    """
    return {name: net.read_pretrained() for name, net in method.nets.items() if net.read_pretrained}


def with_pretrained(state: TrainState, pretrained: Mapping[str, Any]) -> TrainState:
    """A fresh state of a population with parameters of some nets, the same in every member."""
    if not pretrained:
        return state
    members = len(state.step)

    def overlaid(weights: Weights) -> Weights:
        # Stacked for each anew: donated buffers must not appear twice in one state.
        stacked = jax.tree.map(lambda leaf: jnp.stack([leaf] * members), dict(pretrained))
        return weights._replace(params=weights.params | stacked)

    return state._replace(weights=overlaid(state.weights), ema=overlaid(state.ema))


def split(population: Any, group_size: int) -> list[Any]:
    """A stacked tree as groups of `group_size` members, the last one perhaps smaller."""
    members = jax.tree.leaves(population)[0].shape[0]
    starts = range(0, members, group_size)
    return [jax.tree.map(lambda x, s=s: x[s : s + group_size], population) for s in starts]


def merge(groups: list[Any]) -> Any:
    """The inverse of `split`."""
    return jax.tree.map(lambda *parts: jnp.concatenate(parts), *groups)


def member(population: Any, number: int) -> Any:
    """One member of a stacked tree, without the leading axis."""
    return jax.tree.map(lambda x: x[number], population)


def over_members(
    function: Callable[..., Any], in_axes: tuple[int | None, ...]
) -> Callable[..., Any]:
    """`jax.vmap` over the members of a group, for a group of one without its axis.

    The axis would cost a single member a third of its time on a CPU, where XLA's batched matmul is
    slower than its plain one.
    """
    vmapped = jax.vmap(function, in_axes)

    def call(*groups: Any) -> Any:
        pairs = list(zip(groups, in_axes, strict=True))
        sizes = {
            leaf.shape[0] for group, axis in pairs if axis == 0 for leaf in jax.tree.leaves(group)
        }
        if sizes != {1}:
            return vmapped(*groups)
        alone = [member(group, 0) if axis == 0 else group for group, axis in pairs]
        return jax.tree.map(lambda leaf: leaf[None], function(*alone))

    return call


def overlay(weights: Weights, others: Weights, names: Iterable[str]) -> Weights:
    """`weights`, with those of the nets in `names` taken from `others`."""
    names = list(names)
    return Weights(
        weights.params | {name: others.params[name] for name in names},
        weights.batch_stats | {name: others.batch_stats[name] for name in names},
    )


def phase_bounds(method: Method, steps_per_epoch: int) -> list[tuple[Phase, int, int]]:
    """Each phase with its first step and the step behind its last.

    Raises:
      UserError: for more steps, or batches, than 32 bits count.
    """
    bounds, start = [], 0
    for phase in method.phases:
        end = start + phase.epochs * steps_per_epoch
        if end * phase.batches_per_step >= 2**31:
            raise UserError(
                f"config.{phase.epochs_key} is {phase.epochs}: with {steps_per_epoch:,} steps per "
                f"epoch the run would have {end:,} steps, and 32 bits count them; lower it"
            )
        bounds.append((phase, start, end))
        start = end
    return bounds


def parameter_count(params: Any) -> int:
    """How many numbers a tree of parameters holds."""
    return sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(params))
