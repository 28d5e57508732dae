"""Several logs as one list of lines in time order, less what a filter leaves out.

Lines stay in their :class:`LogBuffer`; here is only which of them are shown, in which order. Times
are those of the nodes' clocks, put right by how far each is ahead of ours. Within one log the order
of its lines is never changed.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

from wizard.logbuffer import LogBuffer
from wizard.loglevels import Level, level_of

_SETTLED_S = 0.05  # a clock that was found to be off by less changes no order that matters
_STALE = 1000  # lines that fell out of their log before the list is gone through for them


class Entry(NamedTuple):
    """One line: its time by our clock, which log, which line of it, how bad."""

    time: float
    log: int
    number: int
    level: Level


class LogIndex:
    """See the module. :meth:`take` takes up what is new; everything else reads.

    Attributes:
        only: number of the one log that is shown, or None for all.
        words: text that shown lines contain, whatever its case; "" for all.
        least: the least level that is shown.
        revision: moves whenever the list may have changed.
    """

    def __init__(self, logs: Sequence[LogBuffer]) -> None:
        self._logs = list(logs)
        self._offsets = [0.0] * len(self._logs)
        self.only: int | None = None
        self.words = ""
        self.least = Level.DEBUG
        self.revision = 0
        self._begin()

    def _begin(self) -> None:
        self._taken = [log.start for log in self._logs]
        self._seen = [-1 for _ in self._logs]
        self._clock = [0.0] * len(self._logs)
        self._before = [Level.INFO] * len(self._logs)
        self._stale = 0
        self._all: list[Entry] = []
        self._shown: list[Entry] = self._all

    # -- what is shown

    def __len__(self) -> int:
        return len(self._shown)

    def entry(self, place: int) -> Entry:
        """Return the shown line at ``place``."""
        return self._shown[place]

    def text(self, entry: Entry) -> str:
        """Return the text of a line; "" once it has fallen out of its log."""
        return self._logs[entry.log].line(entry.number)

    def place(self, entry: Entry) -> int:
        """Return where a line is shown, or the one after it when it is not."""
        return bisect_left(self._shown, entry)

    @property
    def count(self) -> int:
        """How many logs there are."""
        return len(self._logs)

    @property
    def total(self) -> int:
        """How many lines there are, shown or not."""
        return len(self._all)

    @property
    def filtered(self) -> bool:
        """Whether a filter leaves lines out."""
        return bool(self.words) or self.least > Level.DEBUG

    def find(self, words: str, start: int, by: int) -> int | None:
        """Return the place of the next line with ``words`` from ``start`` on, or None.

        ``by`` is 1 downwards or -1 upwards; at the end it goes on at the other end.
        """
        wanted, count = words.lower(), len(self._shown)
        for step in range(count):
            place = (start + by * step) % count
            if wanted in self.text(self._shown[place]).lower():
                return place
        return None

    def select(self, *, only: int | None, words: str, least: Level) -> None:
        """Show other lines."""
        if (only, words, least) != (self.only, self.words, self.least):
            self.only, self.words, self.least = only, words, least
            self._choose()

    def _choose(self) -> None:
        if self.only is None and not self.filtered:
            self._shown = self._all
        else:
            self._shown = [entry for entry in self._all if self._shows(entry)]
        self.revision += 1

    def _shows(self, entry: Entry) -> bool:
        if entry.level < self.least or (self.only is not None and entry.log != self.only):
            return False
        return not self.words or self.words.lower() in self.text(entry).lower()

    # -- taking up

    def take(self, offsets: Sequence[float]) -> bool:
        """Take up what the logs have got since; return whether anything changed.

        ``offsets`` tells of each log how far its clock is ahead of ours, in seconds.
        """
        moved = [abs(new - old) for new, old in zip(offsets, self._offsets, strict=True)]
        if max(moved, default=0.0) > _SETTLED_S:
            self._offsets = list(offsets)
            self._begin()
            self._choose()
        batch: list[Entry] = []
        changed = False
        for which, log in enumerate(self._logs):
            if log.revision != self._seen[which]:
                self._seen[which] = log.revision
                changed = True
                batch += self._new(which, log)
        if batch:
            batch.sort()
            _merge(self._all, batch)
            if self._shown is not self._all:
                _merge(self._shown, [entry for entry in batch if self._shows(entry)])
        if changed:
            self._drop_fallen()
            self.revision += 1
        return changed

    def _new(self, which: int, log: LogBuffer) -> list[Entry]:
        self._stale += max(0, log.start - self._taken[which])
        clock, level, offset = self._clock[which], self._before[which], self._offsets[which]
        found = []
        for number, time, text in log.since(self._taken[which]):
            clock = max(clock, time - offset)  # no line goes before one of its own log
            level = level_of(text, level)
            found.append(Entry(clock, which, number, level))
        self._stale += len(found) if log.start else 0  # as many have fallen out
        self._taken[which], self._clock[which], self._before[which] = log.end, clock, level
        return found

    def _drop_fallen(self) -> None:
        """Forget lines that have fallen out of their log: at the front at once, others at times."""
        starts = [log.start for log in self._logs]
        if self._stale >= _STALE:
            self._stale = 0
            self._all[:] = [e for e in self._all if e.number >= starts[e.log]]
            if self._shown is not self._all:
                self._shown[:] = [e for e in self._shown if e.number >= starts[e.log]]
            return
        for entries in [self._all] + ([self._shown] if self._shown is not self._all else []):
            count = 0
            while count < len(entries) and entries[count].number < starts[entries[count].log]:
                count += 1
            del entries[:count]


def _merge(entries: list[Entry], batch: list[Entry]) -> None:
    """Put a sorted batch into a sorted list; almost always that is at its end."""
    if not batch:
        return
    if not entries or batch[0] >= entries[-1]:
        entries += batch
        return
    place = bisect_left(entries, batch[0])
    tail = entries[place:] + batch
    tail.sort()
    entries[place:] = tail
