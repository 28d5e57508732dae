"""Which of two lines of different logs came first.

The container engine's stamps (``docker logs -t``) are UTC and comparable; they are used where every
log has them. Else the programs' own stamps are, which have no zone and no year. What a node's clock
is ahead can be given.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from wizard.diagnosis.marks import Mark, NodeLog

_YEAR = 366 * 86400.0  # stamps without a year lie in a leap year, see loglines
_HALF = _YEAR / 2
BEFORE_ALL = float("-inf")


class Clock:
    """Puts the marks of all logs into one order."""

    def __init__(self, logs: Iterable[NodeLog], offsets: Mapping[int, float]) -> None:
        self._offsets = dict(offsets)
        lasts = [log.last for log in logs if log.last is not None]
        timed = [m for m in lasts if m.engine_s is not None or m.clock_s is not None]
        self._engine = bool(timed) and all(m.engine_s is not None for m in timed)
        seconds = [m.clock_s for m in timed if m.clock_s is not None]
        self._new_year = bool(seconds) and max(seconds) - min(seconds) > _HALF

    def when(self, node: int, mark: Mark) -> float:
        """Return seconds; a line before any stamp comes before all others."""
        seconds = mark.engine_s if self._engine else mark.clock_s
        if seconds is None:
            return BEFORE_ALL
        if not self._engine and self._new_year and seconds < _FIRST_HALF_ENDS:
            seconds += _YEAR
        return seconds - self._offsets.get(node, 0.0)


_FIRST_HALF_ENDS = 1704067200.0 + _HALF  # the middle of 2024, the year of those stamps
