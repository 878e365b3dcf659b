"""When the validator's figure must not be believed: what it cannot see, said beside it.

Planted defects are no real ones. Where a statistic that learns nothing finds them as well, or where
images fall into an object and a plain background, finding them says little of real defects.
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np

from semad.scoring.baselines import BASELINES, baseline_maps
from semad.scoring.maps import Maps
from semad.selection.validator import Ranked, Trial, rank, thin
from semad.synthetic.planted import has_content

NEARLY = 0.8
"""Share of the chosen setting's value from which on a trivial statistic does nearly as well."""
PARTS = 0.2
"""Share of plain pixels from which on images have a background beside what they show."""

_EVERY = 4  # pixels: a trivial statistic of 15 pixels is smooth
_INVERTED = "inverted "


class Agreement(NamedTuple):
    """How alike runs with labels are ranked by the validator and by average precision of pixels.

    Attributes:
      dataset: of the runs.
      runs: how many.
      rho: Spearman's.
      interval: 95 %, by Fisher's transformation.
    """

    dataset: str
    runs: int
    rho: float
    interval: tuple[float, float]


AGREEMENTS = (
    Agreement("NanoTWICE", 19, 0.86, (0.66, 0.94)),
    Agreement("nanofibres", 5, -0.1, (-0.9, 0.86)),
)
"""Over all recorded runs, experiments/results/run_pixel_*.json, which a test compares; by the
validator as it was when they ran."""


def doubts(
    trial: Trial,
    chosen: Ranked,
    normal: Sequence[np.ndarray],
    excluded_families: Collection[str] = (),
) -> list[str]:
    """Why the value of the chosen setting says little, in sentences; empty for no reason.

    Args:
      trial: that the choice was made on.
      chosen: the best setting.
      normal: held-out normal images.
      excluded_families: families that did not count.
    """
    said = []
    name, value = _best_trivial(trial, excluded_families)
    if value >= NEARLY * chosen.value:
        said.append(
            f"The validator's figure must not be believed: {name}, which learns nothing, finds the "
            f"planted defects nearly as well ({value:.3f}) as what was chosen ({chosen.value:.3f})."
        )
    plain = float(np.mean([1 - has_content(image).mean() for image in thin(normal)]))
    if plain > PARTS:
        said.append(
            f"The validator's figure must not be believed: {100 * plain:.0f} % of the pixels of "
            "normal images are plain, as a background is, beside parts of another nature. Cut "
            "images to what is to be inspected."
        )
    return said


def _best_trivial(trial: Trial, excluded: Collection[str]) -> tuple[str, float]:
    """The best of the baselines, of either sign, and of a constant map, with its value."""
    # Of small images no pixel can be left out.
    small = not all(one.mask[::_EVERY, ::_EVERY].any() for one in trial.planted)
    every = 1 if small else _EVERY
    planted = [one._replace(mask=one.mask[::every, ::every]) for one in trial.planted]
    maps = [_trivial(one.image, every) for one in planted]
    ranked = rank(Trial(planted, maps, []), smoothings=(0.0,), excluded_families=excluded)
    return ranked[0].setting.score.replace("_", " "), ranked[0].value


def _trivial(image: np.ndarray, every: int) -> Maps:
    maps = {name: values[::every, ::every] for name, values in baseline_maps(image).items()}
    inverted = {f"{_INVERTED}{name}": -maps[name] for name in BASELINES}
    constant = np.zeros(maps[BASELINES[0]].shape, np.float32)
    return maps | inverted | {"a constant map": constant}
