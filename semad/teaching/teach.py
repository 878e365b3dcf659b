"""`--mode teach`: a trained run goes on, in a new workdir, with outlines that a person drew."""

import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from semad import pipeline
from semad.config import files
from semad.config.schema import Settings
from semad.config.settings import flatten, resolve, with_values
from semad.data import annotated
from semad.data.annotated import AnnotatedImage
from semad.errors import UserError
from semad.inference.detector import load
from semad.inference.origin import reading_of
from semad.reports.run import write_report
from semad.run import workdir as workdirs
from semad.run.checkpoints import Checkpoints
from semad.run.prepare import Run
from semad.run.state import init_population, overlay
from semad.run.system import System, build
from semad.run.workdir import TEACHING_FILE
from semad.teaching.annotations import read_annotated
from semad.teaching.effect import effect, in_words
from semad.types import TrainState
from semad.utils.backend import in_float32
from semad.utils.files import check_replaceable, write_text
from semad.utils.locks import folder_lock
from semad.utils.versions import checksum

EPOCHS = 6
"""Of teaching, unless `config.train.teaching_epochs` is set."""

_KEY = "train.teaching_epochs"


@in_float32
def teach(
    workdir: Path, config: ml_collections.ConfigDict, images: Path, output: Path
) -> dict[str, Any]:
    """Trains a run on with annotated images, and compares it with what it was.

    The run's workdir stays as it is. A call that was stopped goes on.

    Args:
      workdir: of a trained run whose system learns from outlines.
      config: the run's; with more `train.teaching_epochs`, so many in all.
      images: a folder, see `semad.teaching.annotations`.
      output: a new workdir, or that of an earlier call with the same run and outlines.

    Returns:
      What `teaching.json` holds: `from`, `step`, `outlines` and `effect`, see
      `semad.teaching.effect`.

    Raises:
      UserError: for a system that cannot be taught, bad outlines, training images that are gone,
        or an output folder of something else.
    """
    before, after = _systems(workdir, config)
    detector = load(workdir, _config(before.settings))
    given = read_annotated(images, reading_of(detector))
    _check_sizes(given, before.settings.data.patch_size)
    check_replaceable(output, TEACHING_FILE)
    state = workdirs.restore(workdir, before)
    about = _about(workdir, state, given, after.settings)
    with folder_lock(output, "teach"):
        goes_on = _goes_on(output, about)
        if not goes_on:
            _write(output, about)
            _write_outlines(output, before.settings, given, workdir)
        run = pipeline.prepare_in(output, _config(after.settings))
        workdirs.check_same_data(workdir, run.source.train)
        if not goes_on:
            files.store(output, after.settings)
            with Checkpoints(output) as checkpoints:
                checkpoints.save(_beginning(state, run, before.settings.train.teaching_epochs))
        pipeline.train(run, output)
        made = effect(detector, load(output), given)
        record = about | {"effect": made | {"in_words": in_words(made)}}
        _write(output, record)
        write_report(output, run.settings)
    return record


def _systems(workdir: Path, config: ml_collections.ConfigDict) -> tuple[System, System]:
    """The run's system, and the same with the epochs of teaching that are to come.

    Raises:
      UserError: for a system that cannot be taught, or fewer epochs than it has.
    """
    stored, wanted = flatten(files.load(workdir)), resolve(config)
    if _KEY not in stored:
        raise UserError(
            f"{workdir}: {wanted.method} does not learn from outlines; the system that does is "
            "dense_discriminator (--config recommended:small)"
        )
    done, epochs = stored[_KEY], wanted.train.teaching_epochs
    if epochs == done:
        epochs = done + EPOCHS
    if epochs < done:
        raise UserError(
            f"config.{_KEY} is {epochs}, and {workdir} was taught for {done}; it counts all of "
            "them: give more"
        )
    before = build(with_values(wanted, {_KEY: done}))
    workdirs.check_same_run(workdir, before.settings, before.method)
    return before, build(with_values(wanted, {_KEY: epochs}))


def _config(settings: Settings) -> ml_collections.ConfigDict:
    return ml_collections.ConfigDict(files.nest(flatten(settings)))


def _check_sizes(given: list[AnnotatedImage], patch_size: int) -> None:
    for image in given:
        height, width = image.image.shape[:2]
        if min(height, width) < patch_size:
            raise UserError(
                f"{image.name}: {width}×{height} pixels, smaller than a patch of {patch_size}; "
                "give the whole image that was scored"
            )


def _about(
    workdir: Path, state: TrainState, given: list[AnnotatedImage], settings: Settings
) -> dict[str, Any]:
    """What a taught run is told apart by."""
    leaves = jax.tree.leaves(state.weights)
    outlines = [
        {
            "file": image.name,
            "defect_pixels": int(image.defects.sum()),
            "normal_pixels": int(image.normal.sum()),
            "sha256": checksum([image.image, image.defects, image.normal]),
        }
        for image in given
    ]
    return {
        "from": {"workdir": str(workdir), "step": int(state.step[0])},
        "weights": checksum([np.asarray(leaf) for leaf in leaves]),
        "epochs": settings.train.teaching_epochs,
        "outlines": outlines,
    }


def _goes_on(output: Path, about: dict[str, Any]) -> bool:
    """Whether an output folder holds the beginning of the same.

    Raises:
      UserError: when it holds another taught run.
    """
    try:
        stored = json.loads((output / TEACHING_FILE).read_bytes())
    except FileNotFoundError:
        return False
    except (OSError, ValueError, RecursionError):
        stored = None
    if not isinstance(stored, dict) or any(stored.get(key) != about[key] for key in about):
        raise UserError(
            f"{output} was taught from another run or with other outlines; give another --output"
        )
    return workdirs.newest_step(output) is not None


def _write_outlines(
    output: Path, settings: Settings, given: list[AnnotatedImage], workdir: Path
) -> None:
    """Writes the outlines that are given, and those of a run that was taught before."""
    data = settings.data
    patches = annotated.cut(given, data.patch_size, settings.seed, data.pyramid)
    if settings.train.teaching_epochs:
        patches = annotated.join([workdirs.load_annotated(workdir), patches])
    annotated.write(output, patches)


def _beginning(state: TrainState, run: Run, epochs: int) -> TrainState:
    """The state to go on from, where the run's `epochs` of teaching, if any, end.

    Teaching starts from the averaged weights, which are those that scored. Nets that later phases
    train start from their initial weights, since teaching changes what they learnt from.
    """
    names = [phase.name for phase in run.method.phases]
    place = names.index("teaching")
    later = [update for phase in run.method.phases[place + 1 :] for update in phase.updates]
    anew = {name for update in later for name in update.trains}
    fresh = init_population(run.method, run.system.seeds)
    again = {update.name for update in later}
    kept = {name: value for name, value in state.opt_state.items() if name not in again}
    return state._replace(
        step=jnp.minimum(state.step, run.phases[place][1] + epochs * run.steps_per_epoch),
        weights=overlay(state.ema, fresh.weights, anew),
        ema=overlay(state.ema, fresh.ema, anew),
        opt_state=fresh.opt_state | kept,
    )


def _write(output: Path, record: dict[str, Any]) -> None:
    write_text(output / TEACHING_FILE, json.dumps(record, indent=2) + "\n")
