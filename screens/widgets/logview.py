"""Logs as one list, drawn by line: only what is visible costs anything."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from wizard.logbuffer import LogBuffer
from wizard.logindex import Entry, LogIndex
from wizard.loglevels import Level

# What vLLM puts before every message: processes, level, date, time, place in the source.
_PREFIX = re.compile(
    r"^(?:\((?P<who>\w+)(?: pid=\d+)?\)\s+)*(?P<level>[A-Z]{4,8}) \d\d-\d\d "
    r"(?P<time>\d\d:\d\d:\d\d) \[[^\]]*\]\s*"
)
_WHO = re.compile(r"^(?:\((?P<who>\w+)(?: pid=\d+)?\)\s+)+(?:INFO:\s+)?")
_NARROW = 120
_WIDEST = 2000
_LOOKED_AT = 200  # new lines whose width is measured; a burst need not be


def shortened(line: str) -> str:
    """Return a log line with the least of a prefix, so that its message is seen on 80 columns."""
    found = _PREFIX.match(line)
    if found is None:
        found = _WHO.match(line)
        return f"{found['who']}: {line[found.end() :]}" if found else line
    level = "" if found["level"] == "INFO" else f"{found['level']} "
    who = f"{found['who']}: " if found["who"] else ""
    return f"{found['time']} {level}{who}{line[found.end() :]}"


class LogView(ScrollView, can_focus=True):
    """Shows a :class:`LogIndex` and follows its end until the user scrolls up, or freezes it."""

    COMPONENT_CLASSES = {  # noqa: RUF012 - Textual's own way
        *("logview--error", "logview--warning", "logview--debug"),
        *("logview--hit", "logview--current", "logview--node"),
    }
    DEFAULT_CSS = """
    LogView { background: $surface; scrollbar-size-horizontal: 0; scrollbar-size-vertical: 1; }
    LogView:focus { background: $surface-lighten-1; }
    LogView > .logview--error { color: $text-error; text-style: bold; }
    LogView > .logview--warning { color: $text-warning; }
    LogView > .logview--debug { color: $text-muted; }
    LogView > .logview--node { color: $text-primary; text-style: not bold; }
    LogView > .logview--hit { text-style: reverse; }
    LogView > .logview--current { background: $primary-muted; }
    """

    def __init__(self, logs: Sequence[LogBuffer], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.index = LogIndex(logs)
        self.words = ""  # marked wherever they are shown
        self.current: Entry | None = None  # the line that a search has led to
        self._seen = -1
        self._widest = 0
        self._follow = True  # the end, until the user scrolls away from it
        self._top: Entry | None = None  # the first line that is seen while it does not follow
        self._drawing_scroll = False

    @property
    def follows(self) -> bool:
        """Whether the end is followed."""
        return self._follow

    def drain(self, offsets: Sequence[float] = ()) -> bool:
        """Take up what was written since the last time; return whether anything was.

        ``offsets`` are how far the clocks of the logs are ahead of ours.
        """
        index = self.index
        index.take(offsets or [0.0] * index.count)
        if index.revision == self._seen:
            return False
        self._seen = index.revision
        self._fit()
        return True

    def _fit(self) -> None:
        """Fit the room to what is shown; the lines under the reader's eyes do not move."""
        index = self.index
        for place in range(max(0, len(index) - _LOOKED_AT), len(index)):
            self._widest = max(self._widest, cell_len(index.text(index.entry(place))))
        self.virtual_size = Size(min(self._widest + 4, _WIDEST), len(index))
        if self._follow:
            self._to_end()
        elif self._top is not None:
            self._bring_to_top(index.place(self._top))
        self.refresh()

    def select(self, *, only: int | None, words: str, least: Level) -> None:
        """Show other lines: of one log, with these words, at least this bad."""
        stay = self.current or self._top
        self.index.select(only=only, words=words, least=least)
        self._seen = self.index.revision
        self._fit()
        if not self._follow and stay is not None:
            self._show_place(min(self.index.place(stay), len(self.index) - 1))

    # -- following and standing still

    def freeze(self) -> None:
        """Stand still, or follow the end again."""
        if self._follow:
            self._stand(int(self.scroll_offset.y))
        else:
            self.current = None
            self._to_end()
        self.refresh()

    def _stand(self, top: int) -> None:
        self._follow = False
        self._top = self.index.entry(top) if 0 <= top < len(self.index) else None

    def _to_end(self) -> None:
        # forced: the scroll bar that would allow it only comes with the next layout
        self._drawing_scroll = True
        self.scroll_end(animate=False, immediate=True, x_axis=False, force=True)
        self._drawing_scroll = False
        self._follow, self._top = True, None

    def _bring_to_top(self, place: int) -> None:
        self._drawing_scroll = True
        self.scroll_to(y=max(0, place), animate=False, immediate=True, force=True)
        self._drawing_scroll = False

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Follow the end again once the user has come back to it; stand still when they leave."""
        super().watch_scroll_y(old_value, new_value)
        if self._drawing_scroll:
            return
        if new_value >= self.max_scroll_y - 0.5:
            self._follow, self._top, self.current = True, None, None
        else:
            self._stand(int(new_value))

    # -- searching

    def go(self, by: int) -> bool:
        """Go to the next (1) or previous (-1) line with the words; False when there is none."""
        index = self.index
        if not self.words or not len(index):
            return False
        if self.current is not None:
            start = index.place(self.current) + by
        else:
            start = len(index) - 1 if by < 0 else int(self.scroll_offset.y)
        place = index.find(self.words, start % len(index), by)
        if place is None:
            return False
        self.current = index.entry(place)
        self._show_place(place)
        return True

    def _show_place(self, place: int) -> None:
        """Stand still with a line in the middle."""
        top = max(0, min(place - self.size.height // 2, len(self.index) - self.size.height))
        self._stand(top)
        self._bring_to_top(top)
        self.refresh()

    # -- drawing

    def on_resize(self) -> None:
        """Stay at the end when the room changes."""
        if self._follow:
            self._to_end()

    def on_mount(self) -> None:
        """Start at the end."""
        self.drain()

    def render_line(self, y: int) -> Strip:
        """Draw one visible line."""
        x, top = self.scroll_offset
        index = self.index
        if not 0 <= top + y < len(index):
            return Strip.blank(self.size.width, self.rich_style)
        entry = index.entry(top + y)
        line = index.text(entry).expandtabs(8)
        if self.size.width < _NARROW:
            line = shortened(line)
        style = self.rich_style
        if entry.level is not Level.INFO:
            name = {Level.ERROR: "error", Level.WARNING: "warning"}.get(entry.level, "debug")
            style += self.get_component_rich_style(f"logview--{name}", partial=True)
        if entry == self.current:
            style += self.get_component_rich_style("logview--current", partial=True)
        segments = self._segments(line, style)
        if index.count > 1 and index.only is None:
            mark = self.get_component_rich_style("logview--node", partial=True)
            segments.insert(0, Segment(f"n{entry.log} ", style + mark))
        return Strip(segments).crop_extend(x, x + self.size.width, style)

    def _segments(self, line: str, style: Style) -> list[Segment]:
        """Return a line with the words marked that are searched for."""
        wanted = self.words.lower()
        lowered = line.lower()
        if not wanted or wanted not in lowered or len(lowered) != len(line):
            return [Segment(line, style)]
        hit = style + self.get_component_rich_style("logview--hit", partial=True)
        found, at = [], 0
        while (place := lowered.find(wanted, at)) >= 0:
            found += [
                Segment(line[at:place], style),
                Segment(line[place : place + len(wanted)], hit),
            ]
            at = place + len(wanted)
        return [*found, Segment(line[at:], style)]
