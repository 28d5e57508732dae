"""Lines out of a container's log as it streams in: chunks cut anywhere, stamps, redrawn bars. Pure.

``logs -t`` puts a time stamp before each line. After a dropped connection the log is asked for
again from the last stamp on, and what was seen is left out here: engines differ in whether
``--since`` includes the moment itself.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

_STAMP = re.compile(
    rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)(?: |$)", re.ASCII
)
_BAR = re.compile(rb"\d+%\|| Completed \| \d+/\d+ \[")
_MARGIN_S = 1  # asked for once more after a drop; what was seen is recognised by its stamp
_LONGEST = 64 * 1024  # bytes of one line; the rest of a longer one is the next line

Moment = tuple[bytes, bytes]  # a stamp to the second as written, and its nine digits after that


class Line(NamedTuple):
    r"""One line, still raw.

    Attributes:
        text: without stamp and newline; of a line overwritten by ``\r`` the last text.
        redraws: it overwrites a progress bar just before it.
        at: its stamp in epoch seconds by the node's clock; 0.0 when it has none.
    """

    text: bytes
    redraws: bool = False
    at: float = 0.0


class LineReader:
    """Cuts a stream into lines and remembers how far it has read."""

    def __init__(self, *, stamps: bool = True) -> None:
        self._stamps = stamps
        self._rest = b""
        self._bar = False
        self._last: Moment = (b"", b"")  # of the last line
        self._last_seen = 0  # lines with exactly that moment
        self._skip: tuple[Moment, int] | None = None
        self._last_zone = b"Z"
        self._second: tuple[bytes, float] = (b"", 0.0)  # the last one that was worked out
        self.count = 0

    @property
    def since(self) -> str:
        """What to give to ``--since`` when asking again, or "" while nothing was read."""
        return since(self._last, self._last_zone)

    @property
    def last(self) -> Moment:
        """The stamp of the last line that was read."""
        return self._last

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
        at = 0.0
        if self._stamps and (match := _STAMP.match(raw)) is not None:
            second, digits, zone = match.groups()
            moment = (second, (digits or b"").ljust(9, b"0"))
            if self._seen_before(moment, zone):
                return None
            at = self._epoch(second + zone) + int(moment[1]) * 1e-9
            raw = raw[match.end() :]
        self.count += 1
        if b"\r" in raw:
            parts = [part for part in raw.split(b"\r") if part.strip()]
            raw = parts[-1] if parts else b""
        bar = b"%" in raw and _BAR.search(raw) is not None
        redraws, self._bar = bar and self._bar, bar
        return Line(raw, redraws, at)

    def _epoch(self, stamp: bytes) -> float:
        if self._second[0] != stamp:
            try:
                seconds = datetime.fromisoformat(stamp.decode()).astimezone(UTC).timestamp()
            except ValueError:  # the 31st of February
                seconds = self._second[1]
            self._second = (stamp, seconds)
        return self._second[1]

    def _seen_before(self, moment: Moment, zone: bytes) -> bool:
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
        self._last, self._last_zone = moment, zone
        return False


def since(moment: Moment, zone: bytes) -> str:
    """Return what to give to ``--since`` so that a line of ``moment`` surely comes once more."""
    if not moment[0]:
        return ""
    early = datetime.fromisoformat(moment[0].decode()) - timedelta(seconds=_MARGIN_S)
    return early.isoformat(timespec="seconds") + zone.decode()


def stamp_of(raw: bytes) -> tuple[Moment, bytes] | None:
    """Return moment and zone of a raw line as ``logs -t`` gives it, or None without a stamp."""
    match = _STAMP.match(raw)
    if match is None:
        return None
    return (match[1], (match[2] or b"").ljust(9, b"0")), match[3]
