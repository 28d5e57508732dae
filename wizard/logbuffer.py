"""The tail of a log in memory: a bounded ring of lines, numbered from the start of the log."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable


class LogBuffer:
    """The last ``limit`` lines. ``end`` counts all lines ever added, so a reader sees what is new.

    Lines are text already sanitised for display. A line that replaces its predecessor (a progress
    bar redrawn by ``\\r``) is written by :meth:`replace_last`, which moves ``revision`` only.
    """

    def __init__(self, limit: int = 5000) -> None:
        self._lines: deque[str] = deque(maxlen=limit)
        self.end = 0
        self.revision = 0

    @property
    def start(self) -> int:
        """Number of the oldest line still held."""
        return self.end - len(self._lines)

    def extend(self, lines: Iterable[str]) -> None:
        """Add lines at the end; the oldest fall out once the limit is reached."""
        for line in lines:
            self._lines.append(line)
            self.end += 1
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

    def tail(self, count: int) -> list[str]:
        """Return the last ``count`` lines, oldest first."""
        return [self.line(n) for n in range(max(self.start, self.end - count), self.end)]

    def __len__(self) -> int:
        return len(self._lines)
