"""The jitted training step: every update of a phase in order, then the moving average.

All of it is pure: (state, images, hparams) -> (state, loss terms). `make_program` vmaps it over
the members of a group and compiles one or many steps into one program.
"""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import optax

from semad.data.patches import Draw, Stack, draw_batch, steps_per_epoch
from semad.keys import Purpose, derive
from semad.losses import sample_latent
from semad.training.state import over_members
from semad.types import Batch, Hparams, Method, Phase, TrainState, Update, Weights

Terms = dict[str, jax.Array]
Program = Callable[[TrainState, Stack, Hparams], tuple[TrainState, Terms]]


def phase_step(
    method: Method, phase: Phase, first_step: int, draw: Draw, ema_decay: float
) -> Program:
    """One step of a phase for one member.

    Args:
      method: the system.
      phase: one of its phases.
      first_step: the step at which the phase starts; batches are counted from there.
      draw: how training patches are drawn.
      ema_decay: decay of the moving average, see `moved_average`.

    Returns:
      The pure step; its terms are named `<update>/<term>`, with `<update>/loss` the total.
    """
    repeats = max(update.repeat for update in phase.updates)
    trained = frozenset(name for update in phase.updates for name in update.trains)

    def step(state: TrainState, data: Stack, hparams: Hparams) -> tuple[TrainState, Terms]:
        phase_step = state.step - first_step
        data_key = derive(state.key, Purpose.DATA)
        step_key = jax.random.fold_in(derive(state.key, Purpose.LOSS), state.step)
        latent_key, loss_key = jax.random.split(step_key)
        per_epoch = steps_per_epoch(draw, data.pixels.shape[0])
        epoch = (phase_step // per_epoch).astype(jnp.float32)
        # Drawn once, not per update: the compiler may share what two updates make of one z.
        batches = [
            Batch(
                draw_batch(data, draw, data_key, phase_step * repeats + repeat),
                sample_latent(
                    jax.random.fold_in(latent_key, repeat), draw.batch_size, method.latent_dim
                ),
                epoch,
            )
            for repeat in range(repeats)
        ]
        terms: Terms = {}
        for update in phase.updates:
            for repeat in range(update.repeat):
                batch = batches[repeat]
                key = jax.random.fold_in(loss_key, repeat)
                state, terms_ = apply_update(method, update, trained, state, batch, key, hparams)
                terms |= {f"{update.name}/{name}": value for name, value in terms_.items()}
        ema = moved_average(state.ema, state.weights, trained, phase_step, ema_decay)
        return state._replace(step=state.step + 1, ema=ema), terms

    return step


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
    weights = _overlay(state.weights, state.ema, frozen)

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


def _overlay(weights: Weights, ema: Weights, frozen: set[str]) -> Weights:
    return Weights(
        weights.params | {name: ema.params[name] for name in frozen},
        weights.batch_stats | {name: ema.batch_stats[name] for name in frozen},
    )


def moved_average(
    ema: Weights, weights: Weights, names: frozenset[str], step: jax.Array, decay: float
) -> Weights:
    """The moving average of the nets in `names`, parameters and batch statistics alike.

    The decay rises as (1 + step) / (10 + step) up to `decay`, so that a short run does not
    remember its random start.
    """
    step = step.astype(jnp.float32)
    decay = jnp.minimum(decay, (1 + step) / (10 + step))

    def follow(old: Mapping, new: Mapping) -> dict:
        moved = {
            name: jax.tree.map(lambda a, b: a + (1 - decay) * (b - a), old[name], new[name])
            for name in names
        }
        return dict(old) | moved

    return Weights(follow(ema.params, weights.params), follow(ema.batch_stats, weights.batch_stats))


def make_program(step: Program, steps: int) -> Program:
    """Compiles `steps` training steps of a group of members into one program.

    States and hparams have a leading member axis, the images none; the states are donated.
    The terms come back with shape (steps, members).
    """
    members = over_members(step, (0, None, 0))

    def program(state: TrainState, data: Stack, hparams: Hparams) -> tuple[TrainState, Terms]:
        if steps == 1:  # no loop: on CPU a loop costs more than the dispatches it saves
            state, terms = members(state, data, hparams)
            return state, jax.tree.map(lambda x: x[None], terms)
        return jax.lax.scan(lambda s, _: members(s, data, hparams), state, length=steps)

    return jax.jit(program, donate_argnums=0)
