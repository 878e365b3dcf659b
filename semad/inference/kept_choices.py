"""What a trained run decides from its normal images, once, and keeps in its workdir."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from semad.data.normal_images import NormalImages
from semad.run.history import load_history
from semad.run.system import System
from semad.scoring.batched import ScoringState
from semad.scoring.calibration import VERSION as CALIBRATION
from semad.scoring.calibration import Calibration, calibrate
from semad.scoring.image_scores import ImageScorer, Scales
from semad.scoring.kept_maps import map_and_keep
from semad.scoring.overfitting import NormalMap
from semad.scoring.rate_curves import RateCurves, Setting
from semad.scoring.thresholds import Rates, Thresholds
from semad.scoring.unfinished import KEEP_NOTHING, Unfinished
from semad.selection.select import VERSION, select
from semad.types import TrainState
from semad.utils.cache import load_cached, store_cached
from semad.utils.versions import checksum

Mapper = Callable[[Sequence[np.ndarray]], Iterator[np.ndarray]]
"""Images (H, W, C) -> the map (H, W) of each, of the score that counts."""


class TrainedRun(NamedTuple):
    """What choices are made of.

    Attributes:
      members: the weights and scalars that score.
      normal: normal images, and what of them training saw.
      workdir: keeps the choices; None keeps none.
      origin: what tells these weights from others of the same workdir.
    """

    members: Sequence[ScoringState]
    normal: NormalImages
    workdir: Path | None
    origin: dict[str, Any]

    def select(self, system: System) -> dict[str, Any] | None:
        """The choice of `config.select`, see `semad.selection.select`; None if none is to be made.

        Args:
          system: as it was asked for.
        """
        settings = system.settings
        if settings.select == "none":
            return None
        origin = self.origin | settings.score.of_scores | {"validator": VERSION}
        if cached := load_cached(self.workdir, "selection", origin):
            return cached
        unfinished = self._unfinished("selection", origin)
        selection = select(system, self.members[0], self.normal.holdout, unfinished=unfinished)
        store_cached(self.workdir, "selection", origin, selection)
        unfinished.remove()
        return selection

    def calibrate(self, system: System, maps: Mapper) -> Calibration:
        """Thresholds and what belongs to them, with the curves of other rates.

        Args:
          system: with the choice of `config.select` made.
          maps: by these members.
        """
        score, name = system.settings.score, system.scoring.score
        origin = self.origin | score.of_scores
        origin |= {"normal_images": len(self.normal.images), "rows_seen": sum(self.normal.seen)}
        origin["version"] = CALIBRATION
        if cached := load_cached(self.workdir, "calibration", origin):
            return _from_record(cached)
        unfinished = self._unfinished("calibration", origin)
        kept = map_and_keep(
            lambda images: ({name: values} for values in maps(images)),
            self.normal.images,
            "mapping normal images",
            unfinished,
        )
        about = zip(kept, self.normal.seen, self.normal.names, strict=True)
        of_normal = [NormalMap(values[name], seen, image) for values, seen, image in about]
        rates = Rates(score.threshold_rate, score.pixel_rate)
        made = calibrate(
            of_normal, rates, score.pooling, score.min_area, self.normal.part, curves=True
        )
        content = {
            "thresholds": made.thresholds._asdict(),
            "scorer": made.scorer._asdict(),
            "record": made.record,
            "curves": made.curves,
        }
        store_cached(self.workdir, "calibration", origin, content)
        unfinished.remove()
        return made

    def _unfinished(self, what: str, origin: dict[str, Any]) -> Unfinished:
        """Keeps maps of held-out images, where there is a workdir that can be written to."""
        if self.workdir is None:
            return KEEP_NOTHING
        leaves = jax.tree.leaves([member.weights for member in self.members])
        about = origin | {"weights": checksum([np.asarray(leaf) for leaf in leaves])}
        folder = self.workdir / f".{what}.unfinished"
        return Unfinished(folder, json.dumps(about, sort_keys=True), required=False)


def origin_of(
    system: System, state: TrainState, in_use: Sequence[int], workdir: Path | None
) -> dict[str, Any]:
    """What tells the weights that score from others of the same workdir.

    Args:
      system: as it was asked for.
      state: of all members.
      in_use: the numbers of those that score.
      workdir: of the run, or None.
    """
    origin = {
        "checkpoint": system.settings.eval.checkpoint,
        "steps": [int(state.step[number]) for number in in_use],
        "search": dict(system.settings.search),
    }
    if workdir and (history := load_history(workdir)):
        origin["history"] = history  # other rates lead to other weights of a step
    return origin


def _from_record(cached: dict[str, Any]) -> Calibration:
    scorer = dict(cached["scorer"])
    if scorer["scales"] is not None:
        scorer["scales"] = Scales(*(tuple(values) for values in scorer["scales"]))
    curves = RateCurves(*(tuple(Setting(*row) for row in part) for part in cached["curves"]))
    thresholds = Thresholds(**cached["thresholds"])
    return Calibration(thresholds, ImageScorer(**scorer), cached["record"], curves)
