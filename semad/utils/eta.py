"""Says at the start of long work how long it will take."""

import logging
import time

_log = logging.getLogger(__name__)
_LONG = 3600.0

BAR_DELAY = 2.0
"""Seconds after which a progress bar shows itself, of work that is short as a rule."""


class EtaWarning:
    """Measures the first units of work after compilation, and warns when the rest is long."""

    def __init__(self, what: str, total: int, advice: str) -> None:
        """`advice` names what would be quicker."""
        self._what, self._total, self._advice = what, total, advice
        self._ticks = 0
        self._start = 0.0

    def due(self) -> bool:
        """Whether `tick` still measures, and so whether to wait for the device before it."""
        return self._ticks < 3

    def tick(self, done: int) -> None:
        """Call after each of the first units; `done` counts all units so far.

        The first one compiles and is not counted; the third one decides.
        """
        self._ticks += 1
        if self._ticks == 1:
            self._start, self._done = time.perf_counter(), done
        if self._ticks == 3:
            each = (time.perf_counter() - self._start) / (done - self._done)
            seconds = each * (self._total - done)
            if seconds > _LONG:
                _log.warning(
                    "%s will take about %.1f hours on this machine; %s",
                    self._what,
                    seconds / 3600,
                    self._advice,
                )
