"""The tail of a log, drawn by line: only what is visible costs anything."""

from __future__ import annotations

import re

from rich.segment import Segment
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from wizard.logbuffer import LogBuffer

_BAD = re.compile(r"\b(ERROR|CRITICAL|Traceback|\w*Error:)")


# What vLLM puts before every message: processes, level, date, time, place in the source.
_PREFIX = re.compile(
    r"^(?:\((?P<who>\w+)(?: pid=\d+)?\)\s+)*(?P<level>[A-Z]{4,8}) \d\d-\d\d "
    r"(?P<time>\d\d:\d\d:\d\d) \[[^\]]*\]\s*"
)
_WHO = re.compile(r"^(?:\((?P<who>\w+)(?: pid=\d+)?\)\s+)+(?:INFO:\s+)?")
_NARROW = 120


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
    """Shows a :class:`LogBuffer` and follows its end until the user scrolls up."""

    COMPONENT_CLASSES = {"logview--bad"}  # noqa: RUF012 - Textual's own way
    DEFAULT_CSS = """
    LogView { background: $surface; scrollbar-size-horizontal: 0; scrollbar-size-vertical: 1; }
    LogView:focus { background: $surface-lighten-1; }
    LogView > .logview--bad { color: $text-error; text-style: bold; }
    """

    def __init__(self, log: LogBuffer | None = None, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.source = LogBuffer(1) if log is None else log  # an empty one is false
        self._seen = -1
        self._start = 0
        self._widest = 0
        self._follow = True  # the end, until the user scrolls away from it

    def show(self, log: LogBuffer) -> None:
        """Show another log, at its end."""
        if log is not self.source:
            self.source, self._seen, self._start, self._widest = log, -1, log.start, 0
            self.drain()
            self._to_end()

    def drain(self) -> None:
        """Take up what was written since the last time."""
        log = self.source
        if log.revision == self._seen:
            return
        self._seen = log.revision
        fallen, self._start = log.start - self._start, log.start
        self._widest = max(self._widest, *(len(x) for x in log.tail(200)), 1)
        self.virtual_size = Size(min(self._widest, 2000), len(log))
        if self._follow:
            self._to_end()
        elif fallen > 0:
            # The lines under the reader's eyes must not move when old ones fall out.
            self.scroll_to(y=max(0, self.scroll_offset.y - fallen), animate=False, immediate=True)
        self.refresh()

    def _to_end(self) -> None:
        # forced: the scroll bar that would allow it only comes with the next layout
        self.scroll_end(animate=False, immediate=True, x_axis=False, force=True)
        self._follow = True

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Follow the end again once the user has come back to it."""
        super().watch_scroll_y(old_value, new_value)
        self._follow = new_value >= self.max_scroll_y - 1

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
        line = self.source.line(self.source.start + top + y).expandtabs(8)
        if self.app.size.width < _NARROW:
            line = shortened(line)
        style = self.rich_style
        if _BAD.search(line):
            style += self.get_component_rich_style("logview--bad", partial=True)
        strip = Strip([Segment(line, style)])
        return strip.crop_extend(x, x + self.size.width, self.rich_style)
