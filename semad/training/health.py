"""Training that goes wrong, recognised from the figures of the log and said in plain sentences.

A sign counts when every line of a fifth of a phase's steps has shown it, and not before more than
half of the phase is over: GANs pass through a collapse of some hundred steps at their start, and
recover. docs/training.md has the measurements behind the limits.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np

_log = logging.getLogger(__name__)

WINDOW = 0.2
"""Share of a phase's steps throughout which a sign must show."""

EARLIEST = 0.5
"""Share of a phase's steps that must be over."""

RECONSTRUCTIONS = "reconstructions/spread"
SAMPLES = "samples/spread"

_CONSTANT = 0.1
_COLLAPSED = 0.05
_WON = 0.02
_DEAD = 0.01

Figures = Mapping[str, Any]
"""Name -> number, or one for each member."""


class Ailment(NamedTuple):
    """Something that went wrong in training.

    Attributes:
      kind: collapsed, won, dead or constant.
      figure: of the log, that shows it.
      sentence: what it is, with step and figure, and what to do.
    """

    kind: str
    figure: str
    sentence: str


class _Sign(NamedTuple):
    """How an ailment is seen.

    Attributes:
      kind: of the ailment.
      applies: whether a figure of that name shows it.
      value: (figures, name) -> the number that is too small, one for each member.
      limit: below which it is.
      says: of the value; `{name}`, `{value}` and `{limit}` are filled in.
      last_phase: whether earlier phases may have it, as one before the encoder is trained.
    """

    kind: str
    applies: Callable[[str], bool]
    value: Callable[[Figures, str], Any]
    limit: float
    says: str
    last_phase: bool = False


def _itself(figures: Figures, name: str) -> Any:
    return figures[name]


def _cross_entropy(figures: Figures, name: str) -> Any:
    """Of the discriminator whose `saturation` has that name: its part on real and on generated."""
    parts = [figures[name.removesuffix("saturation") + part] for part in ("real", "generated")]
    return np.asarray(parts[0], float) + np.asarray(parts[1], float)


_SIGNS = (
    _Sign(
        "collapsed",
        lambda name: name.endswith("/spread") and name != RECONSTRUCTIONS,
        _itself,
        _COLLAPSED,
        "the generator has collapsed: what it makes hardly differs from draw to draw ({name} is "
        "{value:.2g}, where that of the patches is 1), so scores that rest on it mean little; "
        "change its learning rate against the discriminator's (config.lr), or the seed",
    ),
    _Sign(
        "won",
        lambda name: name.endswith("saturation"),
        _cross_entropy,
        _WON,
        "the discriminator has won: it tells real from generated almost without an error (its "
        "cross-entropy beside {name} is {value:.2g}, where 1.4 is undecided), so the generator "
        "learns little from it; lower the discriminator's learning rate (config.lr), or add input "
        "noise or soft labels (config.population.tricks)",
    ),
    _Sign(
        "dead",
        lambda name: name.endswith("/hinge_active"),
        _itself,
        _DEAD,
        "the hinge is dead: a share of {value:.2g} of the generated patches has an energy below "
        "the margin ({name}), so the discriminator learns from real patches alone; raise "
        "config.loss.margin",
    ),
    _Sign(
        "constant",
        lambda name: name == RECONSTRUCTIONS,
        _itself,
        _CONSTANT,
        "reconstructions hardly depend on what they rebuild ({name} is {value:.2g}, where that of "
        "the patches is 1), so residual scores are those of a constant image; train longer, or at "
        "another learning rate of the encoder (config.lr)",
        last_phase=True,
    ),
)


class Watch:
    """Watches the figures of a phase, line by line."""

    def __init__(self, phase: str, start: int, end: int, last: bool) -> None:
        """Starts with the phase.

        Args:
          phase: its name.
          start: steps before it.
          end: steps behind it.
          last: whether no phase follows.
        """
        self._phase, self._start, self._last = phase, start, last
        self._window, self._earliest = (share * (end - start) for share in (WINDOW, EARLIEST))
        self._healthy: dict[str, np.ndarray] = {}  # the last step without the sign, (members,)

    def update(self, step: int, figures: Figures) -> list[Ailment]:
        """What is wrong at a step, by this line of the log and those before; damage is ignored."""
        wrong = []
        for name in sorted(figures):
            for sign in _SIGNS:
                if sign.applies(name) and (self._last or not sign.last_phase):
                    value = self._persistent(sign, name, step, figures)
                    if value is not None:
                        text = self._sentence(sign, name, step, value)
                        wrong.append(Ailment(sign.kind, name, text))
        return wrong

    def _persistent(self, sign: _Sign, name: str, step: int, figures: Figures) -> np.ndarray | None:
        """The values of the members that have had a sign for long enough; None for none."""
        try:
            values = np.asarray(sign.value(figures, name), float).ravel()
        except (KeyError, TypeError, ValueError, OverflowError):
            return None
        healthy = self._healthy.get(name)
        if healthy is None or healthy.shape != values.shape:
            healthy = np.full(values.shape, self._start)
        healthy = np.where(values < sign.limit, healthy, step)
        self._healthy[name] = healthy
        if step <= self._start + self._earliest:
            return None
        ill = (values < sign.limit) & (step - healthy >= self._window)
        return np.where(ill, values, np.nan) if ill.any() else None

    def _sentence(self, sign: _Sign, name: str, step: int, values: np.ndarray) -> str:
        ill = np.flatnonzero(np.isfinite(values))
        whose = f", {len(ill)} of {len(values)} members" if len(values) > 1 else ""
        text = sign.says.format(name=name, value=values[ill].min())
        return f"Step {step} of training (phase {self._phase}{whose}): {text}."


class Alarm:
    """Warns of what goes wrong while a phase trains, once for every kind."""

    def __init__(
        self,
        phase: str,
        bounds: tuple[int, int],
        last: bool,
        earlier: Iterable[Figures] = (),
    ) -> None:
        """Takes the lines that an interrupted run has written of the phase as known.

        Args:
          phase: its name.
          bounds: steps before it, and steps behind it.
          last: whether no phase follows.
          earlier: lines of the log.
        """
        self._watch = Watch(phase, *bounds, last)
        self._told: set[str] = set()
        for line in earlier:
            if line.get("phase") == phase:
                self._new(line["step"], line)

    def update(self, step: int, figures: Figures) -> None:
        """Warns of what is new at a step."""
        for sentence in self._new(step, figures):
            _log.warning("%s", sentence)

    def _new(self, step: int, figures: Figures) -> list[str]:
        wrong = {part.kind: part.sentence for part in self._watch.update(step, figures)}
        new = [sentence for kind, sentence in wrong.items() if kind not in self._told]
        self._told |= wrong.keys()
        return new


def ailments(lines: Iterable[Figures]) -> list[Ailment]:
    """What was wrong when each phase ended, one of each kind.

    Args:
      lines: of the log, as `semad.training.logs.read_log` has them.
    """
    phases = [list(part) for _, part in groupby(lines, key=lambda line: line.get("phase"))]
    wrong: list[Ailment] = []
    start = 0
    for number, part in enumerate(phases, 1):
        end = part[-1]["step"]
        watch = Watch(str(part[0].get("phase")), start, end, number == len(phases))
        latest: dict[str, Ailment] = {}
        for line in part:
            now = {ailment.figure: ailment for ailment in watch.update(line["step"], line)}
            latest = {name: kept for name, kept in latest.items() if name not in line} | now
        wrong += {ailment.kind: ailment for ailment in latest.values()}.values()
        start = end
    return wrong
