"""Lines out of a container's log as it streams in: chunks cut anywhere, stamps, redrawn bars. Pure.

``logs -t`` puts a time stamp before each line. After a dropped connection the log is asked for
again from the last stamp on, and what was seen is left out here: engines differ in whether
``--since`` includes the moment itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

_STAMP = re.compile(
    rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)(?: |$)", re.ASCII
)
_BAR = re.compile(rb"\d+%\|| Completed \| \d+/\d+ \[")
_MARGIN_S = 1  # asked for once more after a drop; what was seen is recognised by its stamp
_LONGEST = 64 * 1024  # bytes of one line; the rest of a longer one is the next line


@dataclass(frozen=True, slots=True)
class Line:
    """One line, still raw. ``redraws`` tells that it overwrites a progress bar just before it."""

    text: bytes
    redraws: bool = False


class LineReader:
    """Cuts a stream into lines and remembers how far it has read."""

    def __init__(self, *, stamps: bool = True) -> None:
        self._stamps = stamps
        self._rest = b""
        self._bar = False
        self._last: tuple[str, int] = ("", 0)  # moment of the last line, to the nanosecond
        self._last_seen = 0  # lines with exactly that moment
        self._skip: tuple[tuple[str, int], int] | None = None
        self._last_zone = "Z"
        self.count = 0

    @property
    def since(self) -> str:
        """What to give to ``--since`` when asking again, or "" while nothing was read."""
        moment, _ = self._last
        if not moment:
            return ""
        early = datetime.fromisoformat(moment) - timedelta(seconds=_MARGIN_S)
        return early.isoformat(timespec="seconds") + self._last_zone

    def resume(self) -> None:
        """Begin to read a stream that was asked for again with :attr:`since`."""
        self._rest = b""
        self._skip = (self._last, self._last_seen) if self._last[0] else None

    def feed(self, chunk: bytes) -> list[Line]:
        """Return the lines that ``chunk`` completed."""
        *whole, self._rest = (self._rest + chunk).split(b"\n")
        found = [line for raw in whole if (line := self._line(raw)) is not None]
        if len(self._rest) > _LONGEST:
            line = self._line(self._rest)
            self._rest = b""
            found += [line] if line else []
        return found

    def flush(self) -> list[Line]:
        """Return what is left at the end of the stream, a line without its newline."""
        rest, self._rest = self._rest, b""
        line = self._line(rest) if rest else None
        return [line] if line else []

    def _line(self, raw: bytes) -> Line | None:
        if self._stamps:
            match = _STAMP.match(raw)
            if match is not None:
                if self._seen_before(match):
                    return None
                raw = raw[match.end() :]
        self.count += 1
        parts = [part for part in raw.split(b"\r") if part.strip()]
        text = parts[-1] if parts else b""
        bar = bool(_BAR.search(text))
        redraws, self._bar = bar and self._bar, bar
        return Line(text, redraws)

    def _seen_before(self, match: re.Match[bytes]) -> bool:
        moment = (match[1].decode(), int((match[2] or b"0").ljust(9, b"0")))
        if self._skip is not None:
            last, times = self._skip
            if moment < last:
                return True
            if moment == last and times:
                self._skip = (last, times - 1)
                return True
            if moment > last:
                self._skip = None
        self._last_seen = self._last_seen + 1 if moment == self._last else 1
        self._last, self._last_zone = moment, match[3].decode()
        return False
