"""The tail of a log in memory: a bounded ring of lines, numbered from the start of the log."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from itertools import islice


class LogBuffer:
    """The last ``limit`` lines. ``end`` counts all lines ever added, so a reader sees what is new.

    Lines are text already sanitised for display, each with its time: epoch seconds by the clock of
    whoever wrote it, 0.0 when it is not known. A line that replaces its predecessor (a progress
    bar redrawn by ``\\r``) is written by :meth:`replace_last`, which moves ``revision`` only.
    """

    def __init__(self, limit: int = 5000) -> None:
        self._lines: deque[str] = deque(maxlen=limit)
        self._times: deque[float] = deque(maxlen=limit)
        self.end = 0
        self.revision = 0

    @property
    def start(self) -> int:
        """Number of the oldest line still held."""
        return self.end - len(self._lines)

    def extend(self, lines: Iterable[str], times: Iterable[float] = ()) -> None:
        """Add lines at the end, with their times; the oldest fall out once the limit is reached."""
        new = list(lines)
        moments = list(times) or [0.0] * len(new)
        if len(moments) != len(new):
            raise ValueError(f"{len(new)} lines, but {len(moments)} times")
        self._lines.extend(new)
        self._times.extend(moments)
        self.end += len(new)
        self.revision += 1

    def replace_last(self, line: str) -> None:
        """Overwrite the last line, or add one when there is none."""
        if not self._lines:
            self.extend([line])
            return
        self._lines[-1] = line
        self.revision += 1

    def line(self, number: int) -> str:
        """Return line ``number`` (0 is the first of the log), or "" when it has fallen out."""
        index = number - self.start
        return self._lines[index] if 0 <= index < len(self._lines) else ""

    def time(self, number: int) -> float:
        """Return the time of line ``number``; 0.0 when it is not known or has fallen out."""
        index = number - self.start
        return self._times[index] if 0 <= index < len(self._times) else 0.0

    def since(self, number: int) -> list[tuple[int, float, str]]:
        """Return number, time and text of the lines from ``number`` on that are still held."""
        first = max(number, self.start)
        skip = first - self.start
        lines, times = islice(self._lines, skip, None), islice(self._times, skip, None)
        return list(zip(range(first, self.end), times, lines, strict=True))

    def tail(self, count: int) -> list[str]:
        """Return the last ``count`` lines, oldest first."""
        return list(islice(self._lines, max(0, len(self._lines) - count), None))

    def __len__(self) -> int:
        return len(self._lines)
