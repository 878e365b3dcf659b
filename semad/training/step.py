"""The jitted training step: every update of a phase in order, then the moving average.

All of it is pure: (state, images, hparams, orders) -> (state, loss terms). `make_program` vmaps it
over the members of a group and compiles one or many steps into one program.
"""

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from semad.config.schema import TrainSettings
from semad.data import annotated as annotated_patches
from semad.data.normalisation import normalise
from semad.data.patches import (
    Orders,
    PaddedImages,
    PatchSampling,
    draw_orders,
    epochs_of,
    sample_batch,
    steps_per_epoch,
)
from semad.losses import sample_latent
from semad.run.state import over_members, overlay
from semad.training.placement import ShareBatch
from semad.types import (
    AnnotatedPatches,
    Batch,
    Hparams,
    Method,
    Phase,
    TrainState,
    Update,
    Weights,
)
from semad.utils.rng import Stream, stream

Terms = dict[str, jax.Array]


class Average(NamedTuple):
    """How weights are averaged over the steps.

    Attributes:
      decay: of the moving average, in [0, 1).
      share: the largest window, in shares of the phase's steps done so far.
    """

    decay: float
    share: float


def average(train: TrainSettings) -> Average:
    """The average that `config.train` asks for."""
    return Average(train.ema, train.ema_share)


Program = Callable[[TrainState, PaddedImages, Hparams, Orders], tuple[TrainState, Terms]]


def phase_step(
    method: Method,
    phase: Phase,
    first_step: int,
    sampling: PatchSampling,
    averaged: Average,
    share: ShareBatch | None = None,
    annotated: AnnotatedPatches | None = None,
    cooldown: float = 0.0,
) -> Program:
    """One step of a phase for one member.

    Args:
      method: the system.
      phase: one of its phases.
      first_step: the step at which the phase starts; batches are counted from there.
      sampling: how training patches are drawn.
      averaged: how weights are averaged, see `moved_average`.
      share: shares a batch out among devices, see `semad.training.placement`.
      annotated: integers, for a phase that asks for some.
      cooldown: see `cooled`, for a phase that cools.

    Returns:
      The pure step; its terms are named `<update>/<term>`, with `<update>/loss` the total.
    """
    repeats = phase.batches_per_step
    trained = frozenset(name for update in phase.updates for name in update.trains)

    def step(
        state: TrainState, data: PaddedImages, hparams: Hparams, orders: Orders
    ) -> tuple[TrainState, Terms]:
        phase_step = state.step - first_step
        data_key = stream(state.key, Stream.DATA)
        step_key = jax.random.fold_in(stream(state.key, Stream.STEP), state.step)
        latent_key, loss_key = stream(step_key, Stream.LATENT), stream(step_key, Stream.LOSS)
        total = phase.epochs * steps_per_epoch(sampling, data.pixels.shape[0])
        progress = phase_step.astype(jnp.float32) / total
        # Drawn once, not per update: the compiler may share what two updates make of one z.
        batches = [
            Batch(
                normalise(
                    sample_batch(data, sampling, data_key, phase_step * repeats + repeat, orders),
                    method.normalisation,
                ),
                sample_latent(
                    jax.random.fold_in(latent_key, repeat), sampling.batch_size, method.latent_dim
                ),
                progress,
                _annotated(method, phase, annotated, sampling, step_key, repeat),
            )
            for repeat in range(repeats)
        ]
        if share:
            batches = [share(batch) for batch in batches]
        if cooldown and phase.cools:
            hparams = cooled(hparams, progress, cooldown)
        terms: Terms = {}
        for update in phase.updates:
            for repeat in range(update.repeat):
                batch = batches[repeat]
                key = jax.random.fold_in(loss_key, repeat)
                state, terms_ = apply_update(method, update, trained, state, batch, key, hparams)
                terms |= {f"{update.name}/{name}": value for name, value in terms_.items()}
        window = Average(phase.kept ** (1 / total), math.inf) if phase.kept else averaged
        ema = moved_average(state.ema, state.weights, trained, phase_step, window)
        return state._replace(step=state.step + 1, ema=ema), terms

    return step


def cooled(hparams: Hparams, progress: jax.Array, cooldown: float) -> Hparams:
    """Hparams whose learning rates fall linearly to 0 over the end of a phase.

    Constant rates, then a linear cooldown: the schedule of Hägele et al. (2024).

    Args:
      hparams: scalars.
      progress: share of the phase's steps done, in [0, 1), a scalar.
      cooldown: the share of the phase that this takes, in (0, 1].
    """
    factor = jnp.minimum(1.0, (1 - progress) / cooldown)
    return {
        name: value * factor if name.startswith("lr_") else value for name, value in hparams.items()
    }


def _annotated(
    method: Method,
    phase: Phase,
    annotated: AnnotatedPatches | None,
    sampling: PatchSampling,
    step_key: jax.Array,
    repeat: int,
) -> AnnotatedPatches | None:
    """Those of a batch, normalised; None in a phase that asks for none."""
    if annotated is None or not phase.annotated:
        return None
    key = jax.random.fold_in(stream(step_key, Stream.ANNOTATED), repeat)
    images, *masks = annotated_patches.draw(annotated, sampling, key, phase.annotated)
    defects, normal = (mask.astype(jnp.float32) for mask in masks)
    return AnnotatedPatches(normalise(images, method.normalisation), defects, normal)


def apply_update(
    method: Method,
    update: Update,
    training: frozenset[str],
    state: TrainState,
    batch: Batch,
    key: jax.Array,
    hparams: Hparams,
) -> tuple[TrainState, Terms]:
    """One optimiser step of one update; only the nets in `update.trains` change.

    Args:
      method: the system.
      update: the update to run.
      training: nets that the phase trains; all others are frozen and seen with EMA weights.
      state: of one member.
      batch: images and latents.
      key: for what else the loss draws.
      hparams: scalars.

    Returns:
      The new state, and the loss terms with the total under `loss`.
    """
    frozen = method.nets.keys() - training
    weights = overlay(state.weights, state.ema, frozen)

    def loss(params: dict) -> tuple[jax.Array, tuple[Terms, dict]]:
        nets = method.bind(weights._replace(params=weights.params | params), training)
        total, terms = update.loss(nets, batch, key, hparams)
        return total, ({"loss": total} | terms, nets.batch_stats)

    params = {name: weights.params[name] for name in update.trains}
    gradients, (terms, batch_stats) = jax.grad(loss, has_aux=True)(params)
    opt_state = state.opt_state[update.name]
    moves, opt_state = update.optimizer.update(gradients, opt_state, params)
    moves = {
        name: jax.tree.map(lambda move, lr=hparams[f"lr_{name}"]: -lr * move, moves[name])
        for name in update.trains
    }
    moved = optax.apply_updates(params, moves)
    new = Weights(
        state.weights.params | (update.project(moved) if update.project else moved),
        state.weights.batch_stats | {name: batch_stats[name] for name in update.trains},
    )
    return state._replace(weights=new, opt_state=state.opt_state | {update.name: opt_state}), terms


def moved_average(
    ema: Weights, weights: Weights, names: frozenset[str], step: jax.Array, averaged: Average
) -> Weights:
    """The moving average of the nets in `names`, parameters and batch statistics alike.

    Its window, 1 / (1 − decay), is at most a share of the steps done so far: an average over a
    large part of a short run is of weights that have little to do with each other, and may make a
    constant of an encoder.
    """
    window = 1 + averaged.share * (step.astype(jnp.float32) + 1)
    decay = jnp.minimum(averaged.decay, 1 - 1 / window)

    def follow(old: Mapping, new: Mapping) -> dict:
        moved = {
            name: jax.tree.map(lambda a, b: a + (1 - decay) * (b - a), old[name], new[name])
            for name in names
        }
        return dict(old) | moved

    return Weights(follow(ema.params, weights.params), follow(ema.batch_stats, weights.batch_stats))


def make_program(
    step: Program,
    steps: int,
    state_sharding: jax.sharding.Sharding | None = None,
    terms_sharding: jax.sharding.Sharding | None = None,
) -> Program:
    """Compiles `steps` training steps of a group of members into one program.

    States, hparams and orders have a leading member axis, the images none; the states are donated,
    and stay where they are when `state_sharding` says where that is. The terms come back with shape
    (steps, members), where `terms_sharding` says.
    """
    members = over_members(step, (0, None, 0, 0))

    def program(
        state: TrainState, data: PaddedImages, hparams: Hparams, orders: Orders
    ) -> tuple[TrainState, Terms]:
        if steps == 1:  # no loop: on CPU a loop costs more than the dispatches it saves
            state, terms = members(state, data, hparams, orders)
            return state, jax.tree.map(lambda x: x[None], terms)
        return jax.lax.scan(lambda s, _: members(s, data, hparams, orders), state, length=steps)

    return jax.jit(program, donate_argnums=0, out_shardings=(state_sharding, terms_sharding))


def make_orders(
    phase: Phase,
    first_step: int,
    sampling: PatchSampling,
    image_count: int,
    steps: int,
    sharding: jax.sharding.Sharding | None = None,
) -> Callable[[TrainState], Orders]:
    """Compiles what draws the orders of the epochs that the next `steps` steps of a group are of.

    Args:
      phase, first_step, sampling: see `phase_step`.
      image_count: training images.
      steps: from the states' on.
      sharding: says where the orders are.

    Returns:
      States of a group's members -> orders, with a leading member axis both.
    """
    repeats, per_epoch = phase.batches_per_step, steps_per_epoch(sampling, image_count)
    epochs = epochs_of(steps * repeats, per_epoch)

    def orders(state: TrainState) -> Orders:
        first = (state.step - first_step) * repeats // per_epoch
        return draw_orders(sampling, image_count, stream(state.key, Stream.DATA), first, epochs)

    return jax.jit(over_members(orders, (0,)), out_shardings=sharding)
